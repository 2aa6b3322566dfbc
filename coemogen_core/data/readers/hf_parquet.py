"""Tables of pictures as Hugging Face `datasets` writes them: Parquet files with an image column, a row a picture.

Planning reads footers. Rows come a row group at a time, so a shard is read once, however many parts it is cut into, but for the row
groups that two parts share.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import pyarrow as pa

from coemogen_core.data.readers.parquet_file import SourceParquet, named_value, plain_columns
from coemogen_core.data.readers.reader import (
    LABEL_NAMES,
    LoadItem,
    SourceReader,
    known_text,
    list_containers,
    read_label,
    require_success,
    require_unchanged,
    split_of,
    with_annotation,
)
from coemogen_core.data.source_folder import MAX_FILE_BYTES
from coemogen_core.data.source_item import FileStamp, Place, RejectedFile, SourceItem, UnusableItem, printable

EXPECTED = "Parquet files with an image column, as datasets.Dataset.to_parquet writes them"
MAX_TEXT = 2**16  # characters: longer values do not become attributes
_PICTURES = ("jpg", "jpeg", "png", "webp", "img", "picture", "image_bytes", "bytes")
_SAID = ("artist", "style", "genre")


class HfParquetReader(SourceReader):
    """Reader of Parquet files. The label is a name or a `ClassLabel`, in a column that is called like one (see `read_label`)."""

    version = 2

    def __init__(self, root: str, licence: str | None = None, image_column: str | None = None) -> None:
        """`image_column` names the column of the pictures; None = found by its name or type."""
        super().__init__(root, licence)
        self.image_column = image_column

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All rows, file by file; a row is named `<file>#<row>`, counted from 0."""
        for found in list_containers(self.folder, EXPECTED, (".parquet",)):
            if isinstance(found, RejectedFile):
                yield found
                continue
            path, stamp = found
            try:
                table = SourceParquet(self.folder, path, stamp)
                yield from self._list_rows(table, stamp, self._columns(table))
            except UnusableItem as error:
                yield RejectedFile(path, error.reason, printable(error.detail))

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """A table is read as far as the iterator is advanced."""
        for (path, stamp), inside in groupby(items, key=lambda item: (item.inside.container, item.inside.stamp)):
            rows = list(inside)
            try:
                require_unchanged(self.folder, path, stamp)
                table = SourceParquet(self.folder, path, stamp)
                columns = self._columns(table)
            except UnusableItem as error:
                yield from (error.refuse for _ in rows)
                continue
            for group in table.groups():
                wanted = [item for item in rows if item.inside.start in group]
                if wanted:
                    yield from self._load_rows(table, columns, wanted)

    def _list_rows(self, table: SourceParquet, stamp: FileStamp, columns: list[str]) -> Iterator[SourceItem | RejectedFile]:
        split = split_of(table.path)
        for number, group in enumerate(table.groups()):
            try:
                each = FileStamp(table.mean_bytes(number, columns) if len(group) else 0, stamp.tag, stamp.modified)
            except UnusableItem as error:
                yield RejectedFile(f"{table.path}#{group.start}-{group.stop - 1}", error.reason, printable(error.detail))
                continue
            for row in group:
                path = f"{table.path}#{row}"
                yield SourceItem(path, each, split=split, licence=self.licence, place=Place(table.path, stamp, row))

    def _load_rows(self, table: SourceParquet, columns: list[str], items: list[SourceItem]) -> Iterator[LoadItem]:
        """Items of one row group, in the order of its rows."""
        names = table.class_names()
        done = 0
        try:
            for row, values in table.rows(columns, items[0].inside.start, items[-1].inside.start + 1):
                if row == items[done].inside.start:
                    done += 1
                    yield partial(_joined, items[done - 1], values, columns[0], names)
        except UnusableItem as error:
            yield from (error.refuse for _ in items[done:])
        else:
            missing = UnusableItem("broken table", f"{table.path} has fewer rows than its footer claims; write it again")
            yield from (missing.refuse for _ in items[done:])

    def _columns(self, table: SourceParquet) -> list[str]:
        """What is read of a row: first the pictures, then all plain values."""
        names = table.schema.names
        candidates = [self.image_column] if self.image_column is not None else ["image", *table.image_features(), *_PICTURES]
        unique = {name.lower(): name for name in names if names.count(name) == 1}
        found = [unique[name.lower()] for name in candidates if name.lower() in unique]
        image = next((name for name in found if _holds_pictures(table.schema.field(name).type)), None)
        if image is None:
            wanted = self.image_column or "image"
            detail = f"{table.path} has no column {wanted!r} of bytes or of struct<bytes, path>; it has {', '.join(names)[:500]}"
            raise UnusableItem("no image column", f"{detail}; name the right one by image_column")
        return [image, *(name for name in plain_columns(table.schema, besides=LABEL_NAMES) if name != image)]


def _joined(item: SourceItem, values: Mapping[str, Any], image: str, class_names: Mapping[str, list[str]]) -> tuple[SourceItem, bytes]:
    if "error_message" in values:  # img2dataset's; another table's status may be anything
        require_success(values, item.path)
    data, file_name = _picture(values[image], item.path)
    said = {name: named_value(value, class_names.get(name)) for name, value in values.items() if name != image and value is not None}
    said |= {"file_name": file_name} if file_name else {}
    taken = [name for name in _SAID if known_text(said.get(name)) is not None]
    plain = {name: value for name, value in said.items() if isinstance(value, str | int | float) and len(str(value)) <= MAX_TEXT}
    attributes = {name: value for name, value in plain.items() if name not in taken}
    return with_annotation(item, said, read_label(said, item.path), attributes), data


def _picture(value: Any, path: str) -> tuple[bytes, str | None]:
    if isinstance(value, bytes):
        value = {"bytes": value}
    if not isinstance(value, dict) or value.get("bytes") is None:
        named = value.get("path") if isinstance(value, dict) else None
        raise UnusableItem("missing file", f"{path} holds no picture (path {named!r}); write the table with the pictures embedded")
    data: bytes = value["bytes"]
    if len(data) > MAX_FILE_BYTES:
        raise UnusableItem("file too large", f"{path} has more than {MAX_FILE_BYTES // 2**20} MiB; reduce the picture or remove it")
    return data, known_text(value.get("path"))


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_binary(field.type) for field in kind)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
