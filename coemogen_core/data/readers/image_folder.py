"""A plain folder of pictures, with whatever says their emotion: folders named by it, or the metadata files of `datasets`' imagefolder.

Folders that count, at any depth: `awe/`, `emotion=awe/` (or `label=`), `10_awe/` (kohya's repeats), and `train/`, `split=train/`.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from coemogen_core.data.readers.reader import SourceReader, known_emotion, known_split, list_pictures, read_label, with_annotation
from coemogen_core.data.source_folder import MAX_FILE_BYTES, SourceFolder, safe_relative_path, same_name
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.emotions import Emotion

EXPECTED = "pictures, in folders named by their emotion where they have one: <emotion>/*.jpg"
METADATA = ("metadata.csv", "metadata.jsonl")
_KEY_VALUE = re.compile(r"(label|emotion|split)=(.+)", re.IGNORECASE)
_REPEATS = re.compile(r"\d+_(.+)")
_FILE_NAMES = ("file_name", "image")
_TAKEN = (*_FILE_NAMES, "split", "artist", "style", "genre", "licence", "license")


class ImageFolderReader(SourceReader):
    """Reader of pictures at any depth; the label is what folders and metadata files say, where that is one of the eight emotions."""

    version = 2

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All pictures, sorted by path; then what metadata files name and the folders do not hold, and broken lines."""
        metadata = _Metadata(self.folder)
        yield from list_pictures(self.folder, EXPECTED, lambda path, stamp: self._describe(path, stamp, metadata), METADATA)
        yield from metadata.left()

    def _describe(self, path: str, stamp: FileStamp, metadata: "_Metadata") -> SourceItem | RejectedFile:
        item = SourceItem(path=path, stamp=stamp, licence=self.licence)
        try:
            by_folder, split, left_out = _read_folders(path)
            said = metadata.of(path)
            label = read_label(said, path)
            if by_folder is not None and label[0] not in (None, by_folder):
                detail = f"{path} lies in a folder of {by_folder}, its metadata says {label[0]}; correct one"
                raise UnusableItem("contradictory emotion", detail)
        except UnusableItem as error:
            return RejectedFile(path, error.reason, printable(error.detail))
        attributes = {key: value for key, value in said.items() if key.lower() not in _TAKEN and value not in (None, "")}
        emotion = by_folder or label[0]
        return with_annotation(replace(item, split=split), said, (emotion, None if emotion else label[1] or left_out), attributes)


def _read_folders(path: str) -> tuple[Emotion | None, str | None, str | None]:
    """Emotion and split that the folders of a path name, and what of them is meant as an emotion and is none."""
    emotions: set[Emotion] = set()
    split = left_out = None
    for folder in PurePosixPath(path).parts[:-1]:
        pair, repeats = _KEY_VALUE.fullmatch(folder), _REPEATS.fullmatch(folder)
        word = pair.group(2) if pair else repeats.group(1) if repeats else folder
        if known_split(word) and not (pair and pair.group(1).lower() != "split"):
            split = known_split(word)
        elif emotion := known_emotion(word):
            emotions.add(emotion)
        elif pair:
            left_out = f"the folder {folder!r} names none of the eight emotions; rename it, or take its pictures as unlabelled"
    if len(emotions) > 1:
        raise UnusableItem("contradictory emotion", f"{path} lies in folders of {' and '.join(sorted(emotions))}; move it")
    return next(iter(emotions), None), split, left_out


@dataclass
class _Metadata:
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
                    self._take(rows, folder, f"{name}#{number}", said)
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
    named = next((said[name] for name in _FILE_NAMES if said.get(name)), None)
    if named is None:
        raise UnusableItem("broken list entry", f"it has no {' or '.join(_FILE_NAMES)}; mend the line")
    return named


def _lines(folder: SourceFolder, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number (counted from 0) and values of the lines of a metadata file; none where it does not exist.

    Raises:
        UnusableItem: it cannot be read, from some line on.
    """
    try:
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
            for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""))):
                yield number, {str(key).strip(): value for key, value in row.items() if key is not None and isinstance(value, str)}
        except csv.Error as error:
            raise UnusableItem("broken list entry", f"it is no CSV from some line on ({error}); mend it") from error
        return
    for number, line in enumerate(line for line in text.split("\n") if line.strip()):
        try:
            said = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            said = None
        yield number, said if isinstance(said, dict) else {}
