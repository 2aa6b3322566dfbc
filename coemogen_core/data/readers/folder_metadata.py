"""What metadata files beside pictures say of them: `metadata.csv`, `.jsonl` and `.parquet`, as the imagefolder of `datasets` has them."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from coemogen_core.data.readers.parquet_file import SourceParquet, named_value, plain_columns
from coemogen_core.data.readers.reader import said_once
from coemogen_core.data.source_folder import MAX_FILE_BYTES, SourceFolder, safe_relative_path, same_name
from coemogen_core.data.source_item import RejectedFile, UnusableItem, printable

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAMES = ("file_name", "filename", "image_file_name", "image", "image_path", "path", "file")
"""Columns that may name the picture, in any case of letters; `*_file_name` too."""
_PROBLEM = "\0problem"  # no column can be called so


@dataclass
class FolderMetadata:
    """The metadata files of a source, each read when the first picture of its folder comes."""

    folder: SourceFolder
    rows: dict[str, dict[str, tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    """By folder, of every named picture that was not met yet: the line and its values."""
    broken: list[RejectedFile] = field(default_factory=list)

    def of(self, path: str) -> dict[str, Any]:
        """What the nearest folder that names the picture says of it."""
        for above in map(str, PurePosixPath(path).parents):
            if above not in self.rows:
                self.rows[above] = self._read(above)
            found = self.rows[above].pop(same_name(path), None)
            if found is not None:
                return found[1]
        return {}

    def left(self) -> Iterator[RejectedFile]:
        """Pictures that were named and never met, and broken lines."""
        for rows in self.rows.values():
            for path, (where, _) in rows.items():
                yield RejectedFile(path, "missing file", f"{where}: {path} does not exist; restore it or take it off the list")
        yield from self.broken

    def _read(self, folder: str) -> dict[str, tuple[str, dict[str, Any]]]:
        rows: dict[str, tuple[str, dict[str, Any]]] = {}
        for file in METADATA:
            name = file if folder == "." else f"{folder}/{file}"
            try:
                for number, said in _lines(self.folder, name):
                    where = f"{name}#{number}"
                    if problem := said.pop(_PROBLEM, None):
                        self.broken.append(RejectedFile(where, "broken list entry", printable(f"{where}: {problem}")))
                    self._take(rows, folder, where, said)
            except UnusableItem as error:  # the pictures count, without what it would have said of them
                self.broken.append(RejectedFile(name, error.reason, printable(f"{name}: {error.detail}")))
        return rows

    def _take(self, rows: dict[str, tuple[str, dict[str, Any]]], folder: str, where: str, said: dict[str, Any]) -> None:
        try:
            path = safe_relative_path(_named_file(said))
            path = same_name(path if folder == "." else f"{folder}/{path}")
            if path in rows:
                raise UnusableItem("listed twice", f"{path} stands in {rows[path][0]} already; remove one of the two")
            rows[path] = where, said
        except UnusableItem as error:
            self.broken.append(RejectedFile(where, error.reason, printable(f"{where}: {error.detail}")))


def _named_file(said: Mapping[str, Any]) -> object:
    by_name = {name.lower(): value for name, value in said.items() if value}
    names = (*FILE_NAMES, *(name for name in by_name if name.endswith("_file_name")))
    named = next((by_name[name] for name in names if name in by_name), None)
    if named is None:
        raise UnusableItem("broken list entry", f"it has no {FILE_NAMES[0]}; mend the line")
    return named


def _lines(folder: SourceFolder, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number (counted from 0) and values of the lines of a metadata file; none where it does not exist.

    Raises:
        UnusableItem: it cannot be read, from some line on.
    """
    try:
        if name.endswith(".parquet"):
            yield from _table_rows(SourceParquet(folder, name, folder.stamp(name)))
            return
        text = folder.read(name).decode("utf-8-sig")
    except UnusableItem as error:
        if error.reason == "missing file":
            return
        raise
    except UnicodeDecodeError as error:
        raise UnusableItem("broken list entry", f"it is no UTF-8 text ({error}); save it as UTF-8") from error
    if name.endswith(".csv"):
        csv.field_size_limit(MAX_FILE_BYTES)  # by default 128 KiB, less than a workflow of ComfyUI
        try:
            rows = csv.DictReader(io.StringIO(text, newline=""))
            columns = [str(column).strip() for column in rows.fieldnames or ()]
            if twice := sorted({column for column in columns if columns.count(column) > 1}):
                raise UnusableItem("broken list entry", f"it has more than one column {twice[0]!r}; rename or remove one")
            for number, row in enumerate(rows):
                said = {str(key).strip(): value for key, value in row.items() if key is not None and isinstance(value, str)}
                if None in row or None in row.values():
                    said[_PROBLEM] = f"it has {'more' if None in row else 'fewer'} columns than the first line; what it has counts"
                if number == 0 and text.count('"') % 2:
                    said[_PROBLEM] = "a quote in this file is opened and never closed: what follows it counts as one value; close it"
                yield number, said
        except csv.Error as error:
            raise UnusableItem("broken list entry", f"it is no CSV from some line on ({error}); mend it") from error
        return
    for number, line in enumerate(line for line in text.split("\n") if line.strip()):
        try:
            value = json.loads(line, parse_constant=lambda _: None, object_pairs_hook=said_once)
        except (ValueError, RecursionError):
            value = None
        yield number, value if isinstance(value, dict) else {}


def _table_rows(table: SourceParquet) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and plain values of the rows of a table, classes by their names."""
    names = table.class_names()
    for number, values in table.rows(plain_columns(table.schema), 0, table.rows_in_all):
        yield number, {name: named_value(value, names.get(name)) for name, value in values.items() if value is not None}
