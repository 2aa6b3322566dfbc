"""EmoSet: `image/<emotion>/*.jpg`, `annotation/<emotion>/*.json`, and the split files `train.json`, `val.json`, `test.json`.

A split file is a list of `[emotion, image id, image path, annotation path]`, paths relative to the root. An annotation names
emotion, brightness and colorfulness, and where they were seen scene, object, facial_expression and human_action; the words
themselves, so that the label maps of `info.json` are not needed. Planning lists folders and reads the split files; the many small
annotation files are read with their pictures.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from coemogen_core.data.readers.reader import SourceReader
from coemogen_core.data.source_folder import safe_relative_path, same_name
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.emotions import parse_emotion
from schemas.tables import SPLITS

EXPECTED = "EmoSet's layout: image/<emotion>/, annotation/<emotion>/ and the split files train.json, val.json, test.json"

logger = logging.getLogger(__name__)


class EmoSetReader(SourceReader):
    """Reader of EmoSet's layout. The label is the split file's; an annotation must not contradict it."""

    def list_items(self) -> list[SourceItem | RejectedFile]:
        """All entries of the split files that exist, in the order train, val, test, and by path within a split: lists come in any order.

        Raises:
            FileNotFoundError, NotADirectoryError: the root is no folder or has no split file.
            ValueError: a split file is no JSON list, or all of them are empty.
        """
        self.folder.require(EXPECTED)
        splits = {split: entries for split in SPLITS if (entries := self._read_split(split)) is not None}
        if not splits:
            raise FileNotFoundError(f"{self.folder.root} has none of train.json, val.json, test.json: expected {EXPECTED}")
        files = dict(self.folder.walk())
        listing = _SplitListing(files=files, licence=self.licence, names={same_name(path): path for path in files})
        listed: list[SourceItem | RejectedFile] = []
        for split, entries in splits.items():
            described = [listing.describe(entry, split, number) for number, entry in enumerate(entries)]
            listed += sorted(described, key=attrgetter("path"))
        if not listed:
            raise ValueError(f"the split files in {self.folder.root} list no pictures ({', '.join(splits)}): expected {EXPECTED}")
        unlisted = sum(path.startswith("image/") and path not in listing.seen for path in listing.files)
        if unlisted:
            logger.warning("%s: %d files below image/ stand in no split file and are left out", self.folder.root, unlisted)
        return listed

    def _load_file(self, item: SourceItem) -> tuple[SourceItem, bytes]:
        """The file, and the item with its annotation's attributes, where it has one."""
        _, data = super()._load_file(item)
        if item.annotation is None:
            return item, data
        annotation = _parse_annotation(self.folder.read(item.annotation, item.annotation_stamp), item.annotation)
        _check_emotion(annotation, item)
        attributes = {key: value for key, value in annotation.items() if key not in ("emotion", "image_id")}
        return replace(item, attributes=json.dumps(attributes, sort_keys=True)), data

    def _read_split(self, split: str) -> list[Any] | None:
        name = f"{split}.json"
        try:
            entries = json.loads(self.folder.read(name))
        except UnusableItem as error:
            if error.reason == "missing file":
                return None
            raise ValueError(f"{self.folder.root}/{name} cannot be read: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.folder.root}/{name} is no JSON ({error}): fetch it again or mend it") from error
        if not isinstance(entries, list):
            raise ValueError(f"{self.folder.root}/{name} holds no list: expected [[emotion, image id, image path, annotation path], ...]")
        return entries


@dataclass
class _SplitListing:
    """Turns split entries into items; knows all files and what was listed before."""

    files: Mapping[str, FileStamp | None]
    licence: str | None
    names: Mapping[str, str]  # by a path's one spelling, the path
    seen: dict[str, str] = field(default_factory=dict)

    def describe(self, entry: Any, split: str, number: int) -> SourceItem | RejectedFile:
        where = f"{split}.json#{number}"
        try:
            return self._item(entry, split, where)
        except UnusableItem as error:
            return RejectedFile(self._name(entry, where), error.reason, f"{where}: {printable(error.detail)}")

    def _item(self, entry: Any, split: str, where: str) -> SourceItem:
        if not isinstance(entry, list) or len(entry) < 3:
            raise UnusableItem("broken split entry", "expected [emotion, image id, image path, annotation path]; mend the entry")
        path = self._as_on_disk(entry[2])
        if path in self.seen:
            raise UnusableItem("listed twice", f"{path} stands in {self.seen[path]} already; remove one of the two")
        self.seen[path] = where
        try:
            label = parse_emotion(str(entry[0]))
        except ValueError as error:
            raise UnusableItem("unknown emotion", f"{error}; correct the split file") from error
        stamp = self._stamp(path)
        annotation = self._as_on_disk(entry[3]) if len(entry) > 3 and entry[3] is not None else None
        if annotation is not None and annotation not in self.files:
            annotation = None  # attributes are optional, the label stands in the split file
        annotation_stamp = self._stamp(annotation) if annotation is not None else None
        return SourceItem(path, stamp, label, split, licence=self.licence, annotation=annotation, annotation_stamp=annotation_stamp)

    def _as_on_disk(self, listed: object) -> str:
        path = safe_relative_path(listed)
        return self.names.get(same_name(path), path)

    def _stamp(self, path: str) -> FileStamp:
        if path not in self.files:
            raise UnusableItem("missing file", f"{path} does not exist; restore it or remove the entry")
        stamp = self.files[path]
        if stamp is None:
            raise UnusableItem("not a regular file", f"{path} is a pipe, a device, a dead or circular link; put the file itself there")
        return stamp

    def _name(self, entry: Any, where: str) -> str:
        """The picture's path where this entry is the one that listed it, so that names stay unique."""
        try:
            path = self._as_on_disk(entry[2])
        except (UnusableItem, TypeError, LookupError):
            return where
        return path if self.seen.get(path) == where else where


def _parse_annotation(data: bytes, path: str) -> dict[str, Any]:
    try:
        annotation = json.loads(data, parse_constant=lambda _: None)  # NaN and Infinity are no JSON
    except (ValueError, RecursionError) as error:
        raise UnusableItem("broken annotation", f"{path}: {error}; mend the file or delete it") from error
    if not isinstance(annotation, dict):
        raise UnusableItem("broken annotation", f"{path} holds no JSON object; mend the file or delete it")
    return annotation


def _check_emotion(annotation: Mapping[str, Any], item: SourceItem) -> None:
    if "emotion" not in annotation:
        return
    try:
        emotion = parse_emotion(str(annotation["emotion"]))
    except ValueError as error:
        raise UnusableItem("unknown emotion", f"{item.annotation}: {error}; correct the annotation") from error
    if emotion != item.label:
        detail = f"{item.annotation} says {emotion}, {item.split}.json says {item.label}; correct one of the two"
        raise UnusableItem("contradictory emotion", detail)
