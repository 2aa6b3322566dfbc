"""One Parquet file of a source: its footer by two small requests, and its rows a few at a time, whatever the footer claims."""

import json
import math
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from coemogen_core.data.readers.parquet_pages import PageSizes, page_sizes
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import FileStamp, UnusableItem

MAX_FOOTER_BYTES = 32 * 2**20
# Groups are streamed, but of every column that is read a whole page has to be in memory. Writers check the size of a page every 1,024 rows.
MAX_PAGE_BYTES = 2**30
MAX_INFLATED_BYTES = 256 * 2**20  # of pages that unpack to a multiple of what the file holds
MAX_GROUP_ROWS = 2**20
BATCH_BYTES = 8 * 2**20
MAX_BATCH_ROWS = 64
_TAIL = 8  # bytes: length of the footer, and the magic number
_MAGIC = b"PAR1"
_PLAIN_OR_DICTIONARY = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}


class SourceParquet:
    """A Parquet file whose footer has been read.

    Attributes:
        schema: Arrow's.
        rows_in_all: of the file, as the footer claims.
    """

    def __init__(self, folder: SourceFolder, path: str, stamp: FileStamp) -> None:
        """Read the footer.

        Raises:
            UnusableItem: the file is missing, unreadable or no Parquet file.
            OSError: a remote store failed; trying again may help.
        """
        self.path = path
        self._folder = folder
        self._metadata, self.schema = _parse_footer(folder, path, stamp.size or 0)
        self.rows_in_all: int = self._metadata.num_rows

    def class_names(self) -> dict[str, list[str]]:
        """Names of the classes of every `ClassLabel` column, from the metadata that `datasets` writes."""
        return {name: names for name, feature in self._features().items() if (names := _names(feature)) is not None}

    def image_features(self) -> list[str]:
        """Columns that `datasets` calls images."""
        return [name for name, feature in self._features().items() if feature.get("_type") == "Image" and name in self.schema.names]

    def groups(self) -> list[range]:
        """The rows of every row group."""
        groups, first = [], 0
        for number in range(self._metadata.num_row_groups):
            rows = self._metadata.row_group(number).num_rows
            groups.append(range(first, first + rows))
            first += rows
        return groups

    def mean_bytes(self, group: int, columns: list[str]) -> int:
        """Bytes that a row of these columns has on average.

        Raises:
            UnusableItem: the row group claims what no file can hold.
        """
        rows = self._metadata.row_group(group).num_rows
        chunks = self._chunks(group, columns)
        if any(chunk.total_uncompressed_size < 0 or chunk.total_compressed_size < 0 for chunk in chunks):
            raise UnusableItem("broken table", f"{self.path}: row group {group} claims a negative size; write the file again")
        size = sum(chunk.total_uncompressed_size for chunk in chunks)
        if not 0 < rows <= MAX_GROUP_ROWS or size < rows:
            raise UnusableItem("broken table", f"{self.path}: row group {group} claims {rows:,} rows in {size:,} bytes; write it again")
        return math.ceil(size / rows)

    def rows(self, columns: list[str], start: int, stop: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and values of the rows from `start` to before `stop`; a few of them are in memory.

        Raises:
            UnusableItem: the rows cannot be read; no more come after it.
            OSError: a remote store failed; trying again may help.
        """
        for number, group in enumerate(self.groups()):
            if group.start < stop and start < group.stop and len(group):
                mean = self.mean_bytes(number, columns)
                for row, values in self._rows_of_group(number, group.start, columns, mean):
                    if row >= stop:
                        return
                    if row >= start:
                        yield row, values

    def _rows_of_group(self, number: int, first: int, columns: list[str], mean: int) -> Iterator[tuple[int, dict[str, Any]]]:
        # a value that is stored once may stand in every row of a batch: then the mean says nothing
        row_bytes = max(mean, self._repeated_bytes(number, columns), 1)
        batch_rows = max(1, min(MAX_BATCH_ROWS, BATCH_BYTES // row_bytes))
        local = self._folder.local_path(self.path)
        try:
            with pa.OSFile(local) if local is not None else self._folder.open(self.path, cache_type="none") as file:
                table = pq.ParquetFile(file, metadata=self._metadata, pre_buffer=False, buffer_size=2**20 if local is not None else 2**22)
                for batch in table.iter_batches(batch_rows, row_groups=[number], columns=columns, use_threads=False):
                    for index in range(batch.num_rows):
                        yield first + index, {name: batch.column(name)[index].as_py() for name in columns}
                    first += batch.num_rows
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno is not None and local is None:
                raise  # the store's; Arrow's own have no number
            raise _broken(self.path, error) from error

    def _repeated_bytes(self, group: int, columns: list[str]) -> int:
        """Longest value that may stand in many rows though it is stored once: in a dictionary, or as a difference to the row before.

        Raises:
            UnusableItem: the pages unpack to more than is read at once, whatever the footer told.
        """
        at_once = inflated = repeated = 0
        try:
            with self._folder.open(self.path) as file:
                for chunk in self._chunks(group, columns):
                    sizes = _page_sizes(file, chunk)
                    at_once, inflated = at_once + sizes.largest + sizes.dictionary, inflated + sizes.inflated
                    repeated += sizes.dictionary if set(chunk.encodings) <= _PLAIN_OR_DICTIONARY else sizes.largest
        except ValueError as error:
            raise _broken(self.path, error) from error
        if at_once > MAX_PAGE_BYTES or inflated > MAX_INFLATED_BYTES:
            unpacked, allowed = (at_once, MAX_PAGE_BYTES) if at_once > MAX_PAGE_BYTES else (inflated, MAX_INFLATED_BYTES)
            claim = f"pages of row group {group} unpack to {unpacked / 2**20:,.0f} MiB, allowed are {allowed // 2**20}"
            raise UnusableItem("page too large", f"{self.path}: {claim}; write the file again, with the writer's own data_page_size")
        return repeated

    def _chunks(self, group: int, columns: list[str]) -> list[Any]:
        row_group = self._metadata.row_group(group)
        chunks = (row_group.column(index) for index in range(row_group.num_columns))
        return [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]

    def _features(self) -> dict[str, dict[str, Any]]:
        try:
            features = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
            return {str(name): feature for name, feature in features.items() if isinstance(feature, dict)}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return {}


def plain_columns(schema: pa.Schema, besides: Collection[str] = ()) -> list[str]:
    """Columns of text, numbers and booleans, and those with one of the names `besides`, whatever they hold; no name that stands twice."""
    return [
        field.name
        for field in schema
        if schema.names.count(field.name) == 1 and (field.name.lower() in besides or _is_plain_value(field.type))
    ]


def named_value(value: Any, names: list[str] | None) -> Any:
    """A value as it is kept: a class by its name, a number that JSON does not know as nothing; in a list each."""
    if isinstance(value, list):
        return [named_value(each, names) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value


def _parse_footer(folder: SourceFolder, path: str, size: int) -> tuple[pq.FileMetaData, pa.Schema]:
    """Reads the footer's bytes alone; Arrow never sees the rest of the file here."""
    if size < len(_MAGIC) + _TAIL:
        raise UnusableItem("not a Parquet file", f"{path} has {size} bytes; fetch it again or remove it")
    tail = folder.read_range(path, size - _TAIL, _TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC:
        raise UnusableItem("not a Parquet file", f"{path} does not end with {_MAGIC.decode()}; fetch it again or remove it")
    if length > min(MAX_FOOTER_BYTES, size - len(_MAGIC) - _TAIL):
        raise UnusableItem("broken table", f"{path} claims a footer of {length:,} bytes; fetch it again or remove it")
    footer = folder.read_range(path, size - _TAIL - length, length)
    try:
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + footer + tail))
        return metadata, metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise _broken(path, error) from error


def _page_sizes(file: Any, chunk: pq.ColumnChunkMetaData) -> PageSizes:
    start = min(offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset)
    return page_sizes(file, start, start + chunk.total_compressed_size)


def _broken(path: str, error: Exception) -> UnusableItem:
    return UnusableItem("broken table", f"{path}: {str(error) or type(error).__name__}; fetch it again or write it again")


def _is_plain_value(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):  # pandas' categories, polars' Enum and Categorical
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer, pa.types.is_floating)
    return any(test(kind) for test in tests) or pa.types.is_boolean(kind)


def _names(feature: dict[str, Any]) -> list[str] | None:
    if isinstance(inner := feature.get("feature"), dict):  # of a list
        feature = inner
    names = feature.get("names")
    return [str(name) for name in names] if feature.get("_type") == "ClassLabel" and isinstance(names, list) else None
