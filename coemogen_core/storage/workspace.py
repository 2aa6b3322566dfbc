"""A workspace: one fsspec URI in which every table is a folder of Parquet parts.

A part appears whole or not at all (see `whole_file`). Its existence means done. The same rows give the same bytes (fixed compression,
row-group size and writer settings).
"""

import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import dataframely as dy
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.location import resolve
from coemogen_core.storage.reading import count_rows, has_file, opened_parquet, read_whole
from coemogen_core.storage.whole_file import write_atomically, written_whole
from schemas.tables import arrow_schema

READ_AT_ONCE = 2**20  # bytes
UNIQUE_COLUMNS = ("image", "image_id")  # no value stands there twice: looking for repetitions would double the time of writing
ROWS_PER_GROUP = 250  # bounds what a reader must hold at once, pictures included


@dataclass(frozen=True)
class Workspace:
    """The root URI of a workspace: a local path, `s3://...`, `gs://...` or `memory://...`."""

    uri: str

    def __post_init__(self) -> None:
        """Raises ValueError for a store without the name of a bucket."""
        if self.uri.rstrip("/").endswith(":"):
            resolve(self.uri)

    def path(self, *names: str) -> str:
        """URI of a file or folder below the root."""
        return "/".join([self.uri.rstrip("/"), *names])

    def table(self, *names: str) -> "Table":
        """The table in the folder `names` (which need not exist yet)."""
        return Table(self.path(*names))

    def write_file(self, data: bytes, *names: str) -> str:
        """Write a whole file atomically; returns its URI."""
        uri = self.path(*names)
        write_atomically(uri, data)
        return uri

    def read_file(self, *names: str) -> bytes:
        """Content of a file. Raises FileNotFoundError when it does not exist."""
        return read_whole(self.path(*names))

    def remove_file(self, *names: str) -> None:
        """Remove a file, where there is one."""
        filesystem, path = resolve(self.path(*names))
        with suppress(FileNotFoundError):
            filesystem.rm_file(path)

    def remove_folder(self, *names: str) -> None:
        """Remove a folder with all that is in it, where there is one."""
        filesystem, path = resolve(self.path(*names))
        if isinstance(filesystem, LocalFileSystem):
            shutil.rmtree(path, ignore_errors=True)
            return
        for file in filesystem.find(path):  # not `rm`, which takes brackets in a name for a pattern
            filesystem.rm_file(file)

    def exists(self, *names: str) -> bool:
        """Whether a file or folder exists."""
        filesystem, path = resolve(self.path(*names))
        return filesystem.exists(path)

    def list_files(self, *names: str) -> list[str]:
        """Names of the files in a folder, sorted, hidden ones left out. Empty when the folder does not exist."""
        return self._list("file", *names)

    def list_folders(self, *names: str) -> list[str]:
        """Names of the folders in a folder, likewise."""
        return self._list("directory", *names)

    def _list(self, kind: str, *names: str) -> list[str]:
        filesystem, folder = resolve(self.path(*names))
        try:
            entries = filesystem.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        found = (entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == kind)
        return sorted(name for name in found if not name.startswith("."))

    def write_json(self, value: Any, *names: str) -> str:
        """Write a value as indented JSON with sorted keys, atomically; returns its URI."""
        return self.write_file((json.dumps(value, indent=2, sort_keys=True) + "\n").encode(), *names)

    def read_json(self, *names: str) -> Any:
        """Read a JSON file."""
        return json.loads(self.read_file(*names))


@dataclass(frozen=True)
class Table:
    """A folder of Parquet parts; a part is named without its ending, e.g. `part-00000`, or `part-00000/chunk` where parts have chunks."""

    uri: str

    def parts(self, within: str | None = None) -> list[str]:
        """Names of the finished parts, sorted: all of them, or those in one subfolder. Empty when the folder does not exist."""
        filesystem, folder = resolve(self.uri)
        try:
            paths = filesystem.find(folder) if within is None else _below(filesystem, folder, within)
        except FileNotFoundError:
            return []
        names = (path.removeprefix(folder).lstrip("/") for path in paths)
        finished = (name for name in names if name.endswith(".parquet") and not any(piece.startswith(".") for piece in name.split("/")))
        return sorted(name.removesuffix(".parquet") for name in finished)

    def has_part(self, name: str) -> bool:
        """Whether this part is finished."""
        return has_file(self._part_uri(name))

    def require_parts(self, names: Iterable[str], remedy: str) -> None:
        """Make sure that parts are finished.

        Raises:
            FileNotFoundError: one is not; the message names it and its table, and ends with the remedy.
        """
        missing = next((name for name in names if not self.has_part(name)), None)
        if missing is not None:
            raise self._missing(missing, remedy)

    def write_part(self, name: str, rows: pl.DataFrame, schema: type[dy.Schema], *, replace: bool = True, checked: bool = False) -> None:
        """Validate the rows and write them as one part, whole or not at all; columns that the schema does not know are left out.

        Args:
            replace: off = a part of this name that appeared meanwhile, by whomever, is left as it is.
            checked: the caller has cast and validated the rows, together with others.

        Raises:
            dataframely.exc.ValidationError: a row breaks the schema; the message names the rule and counts the rows.
            FileExistsError: `replace` is off and there is such a part.
        """
        valid = rows if checked else _validated(rows, schema)
        buffer = io.BytesIO()
        with _parquet_writer(buffer, schema) as writer:
            if valid.height:  # `datasets` opens a part without row groups, but from 3.2 on none with an empty one
                writer.write_table(_arrow_table(valid, schema), row_group_size=ROWS_PER_GROUP)
        write_atomically(self._part_uri(name), buffer.getbuffer(), replace=replace)

    @contextmanager
    def part_writer(self, name: str, schema: type[dy.Schema]) -> Iterator[Callable[[pl.DataFrame], None]]:
        """Write a part piece by piece, so that it is never in memory as a whole; it appears when the block ends well, or not at all.

        Yields:
            What validates and writes the next rows: `ROWS_PER_GROUP` of them but for the last, so that the part has the same bytes as if
            written at once. That keys are unique across pieces is the caller's to see to.
        """
        with written_whole(self._part_uri(name)) as file, _parquet_writer(file, schema) as writer:
            yield lambda rows: writer.write_table(_arrow_table(_validated(rows, schema), schema), row_group_size=ROWS_PER_GROUP)

    def read_part(self, name: str, columns: list[str] | None = None, *, remedy: str | None = None) -> pl.DataFrame:
        """Rows of one part, all columns or the named ones.

        Raises:
            FileNotFoundError: the part does not exist; the message ends with the remedy, where one is given.
        """
        try:
            with opened_parquet(self._part_uri(name)) as (file, is_arrows):
                return _to_polars(file.read(columns=columns, use_threads=is_arrows))
        except FileNotFoundError as error:
            if remedy is None:
                raise
            raise self._missing(name, remedy) from error

    def find_part(self, name: str, columns: list[str] | None = None) -> pl.DataFrame | None:
        """Like `read_part`; None when the part does not exist."""
        try:
            return self.read_part(name, columns)
        except FileNotFoundError:
            return None

    def iter_part(self, name: str, columns: list[str] | None = None, batch_size: int = 64) -> Iterator[pl.DataFrame]:
        """Rows of one part in batches of at most `batch_size`, so that pictures never lie in memory all at once."""
        return (_to_polars(pa.Table.from_batches([batch])) for batch in self._batches(name, columns, batch_size))

    def iter_pictures(self, name: str, image_ids: set[str]) -> Iterator[tuple[str, bytes]]:
        """`image_id` and encoded picture of these rows of one part of an images table, in its order, few at a time in memory."""
        for batch in self._batches(name, ["image_id", "image.bytes"], batch_size=16):
            for image_id, picture in zip(batch.column(0).to_pylist(), batch.column(1).field(0), strict=True):
                if image_id in image_ids:
                    yield image_id, picture.as_py()

    def _batches(self, name: str, columns: list[str] | None, batch_size: int) -> Iterator[pa.RecordBatch]:
        """Read as it is needed. Arrow would else hold the whole part in memory (`pre_buffer`), and a column of a row group twice."""
        with opened_parquet(self._part_uri(name), READ_AT_ONCE, pre_buffer=False) as (file, is_arrows):
            yield from file.iter_batches(batch_size=batch_size, columns=columns, use_threads=is_arrows)

    def read(self, columns: list[str] | None = None, parts: list[str] | None = None) -> pl.DataFrame:
        """Rows of all parts (or the named ones) in part order. For columns that fit in memory: leave pictures out.

        Raises:
            FileNotFoundError: the table has no parts.
        """
        names = self.parts() if parts is None else parts
        if not names:
            raise FileNotFoundError(f"table {self.uri} has no parts: run the stage that writes it first")
        return pl.concat([self.read_part(name, columns) for name in names])

    def read_parts(self, names: Sequence[str], columns: list[str], *, remedy: str | None = None) -> pl.DataFrame:
        """Rows of many parts, each named once, at a fraction of the cost of opening them one by one; no pictures.

        Returns:
            `part` (an enumeration of `names`) and the columns, in the order of the names.

        Raises:
            FileNotFoundError: there is no such part; the message ends with the remedy, where one is given.
        """
        kind = pl.Enum(names)
        if not names or local_folder(self.uri) is None:
            frames = [self.read_part(name, columns, remedy=remedy).select(pl.lit(name, kind).alias("part"), *columns) for name in names]
            return pl.concat(frames) if frames else pl.DataFrame(schema={"part": kind} | dict.fromkeys(columns, pl.Null))
        if remedy is not None:
            self.require_parts(names, remedy)  # of a disk, whose answers cost nothing
        files = [f"{local_folder(self.uri)}/{name}.parquet" for name in names]
        rows = pl.scan_parquet(files, include_file_paths="part", glob=False, hive_partitioning=False).select("part", *columns).collect()
        return rows.with_columns(pl.col("part").replace_strict(files, names, return_dtype=kind))

    def count(self, parts: list[str] | None = None) -> int:
        """Number of rows, read from the Parquet footers alone."""
        return sum(count_rows(self._part_uri(name)) for name in (self.parts() if parts is None else parts))

    def remove_part(self, name: str) -> None:
        """Remove a finished part."""
        filesystem, path = resolve(self._part_uri(name))
        filesystem.rm_file(path)

    def _missing(self, name: str, remedy: str) -> FileNotFoundError:
        return FileNotFoundError(f"no part {name} in {self.uri}: {remedy}")

    def _part_uri(self, name: str) -> str:
        return f"{self.uri}/{name}.parquet"


def _below(filesystem: AbstractFileSystem, folder: str, within: str) -> list[str]:
    """Paths in a subfolder. Where it is missing, s3fs's `ls` lists all of the folder around it, a request for every thousand parts."""
    if "prefix" in signature(filesystem.find).parameters:
        return list(filesystem.find(folder, prefix=f"{within}/"))
    return list(filesystem.ls(f"{folder}/{within}", detail=False))


def _parquet_writer(file: Any, schema: type[dy.Schema]) -> pq.ParquetWriter:
    wanted = arrow_schema(schema)
    repeated = [name for name in wanted.names if name not in UNIQUE_COLUMNS] if "image" in wanted.names else True
    return pq.ParquetWriter(file, wanted, compression="zstd", write_page_index=True, use_dictionary=repeated)


def _arrow_table(valid: pl.DataFrame, schema: type[dy.Schema]) -> pa.Table:
    return valid.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow_schema(schema))


def _validated(rows: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """The rows as the schema wants them. That all is well is found out in half the time that it takes to say what is not."""
    wanted = rows.select(schema.column_names())
    try:
        checked = schema.cast(wanted)
        if schema.is_valid(checked):
            return checked
    except pl.exceptions.PolarsError:  # a value does not fit its type
        pass
    return schema.validate(wanted, cast=True)


def _to_polars(table: pa.Table) -> pl.DataFrame:
    return cast(pl.DataFrame, pl.from_arrow(table))
