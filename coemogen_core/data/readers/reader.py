"""What every reader of a source does: list its pictures without reading them, and load them with their annotations, a part at a time."""

import json
import logging
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from coemogen_core.data.source_folder import MAX_DEPTH, UNREAD_ENDINGS, SourceFolder, is_picture, is_plain_text
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.emotions import Emotion, parse_emotion

logger = logging.getLogger(__name__)

LoadItem = Callable[[], tuple[SourceItem, bytes]]
"""Gives a picture's bytes, and the item with what its annotation says; called once, on any thread.

Raises:
    UnusableItem: the picture cannot be read, or its annotation is broken or contradicts the listing.
    OSError: a remote store failed; trying again may help.
"""
Describe = Callable[[str, FileStamp], SourceItem | RejectedFile]
NAME_ENDINGS = (".cls", ".label", ".emotion", ".label.txt", ".emotion.txt", ".cls.txt")
"""Endings of files that hold nothing but the name of the emotion."""
LABEL_NAMES = ("label", "labels", "emotion", "emotions", "emotion_label", "label_name", "label_text", "emotion_name", *NAME_ENDINGS)
"""What a picture's emotion is called in tables and JSON, in any case of letters; whatever stands there is meant as a label."""
CLASS_NAMES = ("class", "class_name", "category", "cls")
"""Names under which an emotion may stand, and anything else as well."""
SUCCESS = "success"  # img2dataset's status of a picture that it has
_SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}
_NO_FILE = "a pipe, a device, a dead or circular link; put the"


class SourceReader(ABC):
    """One layout of pictures on disk.

    Attributes:
        version: part of the ingest recipe; raise it when the same files give other rows.
        folder: the source's root.
        licence: of every picture that the source gives none for.
    """

    version = 1

    def __init__(self, root: str, licence: str | None = None) -> None:
        """Nothing is read yet. The root is a folder or its URI."""
        self.folder = SourceFolder(root)
        self.licence = licence

    @abstractmethod
    def list_items(self) -> Iterable[SourceItem | RejectedFile]:
        """Everything that the source lists, in an order that depends on its content alone; of containers, headers and footers are read.

        Raises:
            FileNotFoundError, NotADirectoryError: the root is not what the layout needs.
            ValueError: the source is empty or its list files are unreadable; the message names file and remedy.
        """

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """For each item, in the given order, what loads it. Here: a file each, without an annotation.

        A layout of single files does all its reading there, on whichever thread calls; a reader of tables may read ahead of the calls, as
        far as the iterator is advanced.
        """
        return (partial(self._load_file, item) for item in items)

    def _load_file(self, item: SourceItem) -> tuple[SourceItem, bytes]:
        return item, self.folder.read(item.path, item.stamp)


def list_pictures(
    folder: SourceFolder, expected: str, describe: Describe, lists: Collection[str] = ()
) -> Iterator[SourceItem | RejectedFile]:
    """Every file whose name ends like a picture's, sorted by path; never more than the entries of one folder are in memory.

    Args:
        expected: the layout in words, for error messages.
        describe: makes an item (or a rejection) of a relative path and a stamp.
        lists: names of files that the reader reads besides.

    Raises:
        FileNotFoundError, NotADirectoryError: the root is no folder.
        ValueError: there is no picture below it.
    """
    folder.require(expected)
    pictures, others = 0, Counter[str]()
    for path, stamp in folder.walk():
        if is_picture(path):
            pictures += 1
            yield _describe_safely(path, stamp, describe)
        elif path.endswith("/"):
            yield _too_deep(path)
        elif PurePosixPath(path).name not in lists:
            others[PurePosixPath(path).suffix.lower() or "without an ending"] += 1
    if not pictures:
        raise ValueError(f"source folder {folder.root} holds no pictures ({others.total()} other files): expected {expected}")
    if others:
        kinds = ", ".join(f"{number} {printable(ending)}" for ending, number in others.most_common(5))
        logger.warning("%s: %d files whose names do not end like a picture's are left out (%s)", folder.root, others.total(), kinds)


def _too_deep(path: str) -> RejectedFile:
    return RejectedFile(printable(path), "too deep", f"folders more than {MAX_DEPTH} deep are not looked into; move its pictures up")


def _describe_safely(path: str, stamp: FileStamp | None, describe: Describe) -> SourceItem | RejectedFile:
    if not is_plain_text(path):
        detail = "the name is no valid Unicode text or has control characters; rename the file"
        return RejectedFile(printable(path), "unusable file name", detail)
    if stamp is None:
        return RejectedFile(path, "not a regular file", f"{_NO_FILE} picture itself there or remove it")
    return unread_picture(path) or describe(path, stamp)


def unread_picture(path: str) -> RejectedFile | None:
    """The rejection of a picture whose format is not read, judged by its name; None for all others."""
    if not path.lower().endswith(UNREAD_ENDINGS):
        return None
    ending = PurePosixPath(path).suffix.lower()
    return RejectedFile(path, "unread format", f"{ending} files are not read; convert it to JPEG or PNG, or remove it")


def list_containers(
    folder: SourceFolder, expected: str, endings: tuple[str, ...], unreadable_endings: tuple[str, ...] = ()
) -> Iterator[tuple[str, FileStamp] | RejectedFile]:
    """Every container below the root, sorted by path, with its stamp; those that cannot be read as they are, are rejected.

    Raises:
        FileNotFoundError, NotADirectoryError: the root is no folder.
        ValueError: there is no container below it.
    """
    folder.require(expected)
    found = 0
    for path, stamp in folder.walk():
        if path.endswith("/"):
            yield _too_deep(path)
            continue
        if path.lower().endswith(unreadable_endings):
            yield RejectedFile(printable(path), "compressed archive", "single pictures cannot be read out of it; uncompress it")
        elif not path.lower().endswith(endings):
            continue
        elif not is_plain_text(path):
            yield RejectedFile(printable(path), "unusable file name", "no valid Unicode text, or control characters; rename the file")
        elif stamp is None:
            yield RejectedFile(path, "not a regular file", f"{_NO_FILE} file itself there")
        elif not stamp.size:
            yield RejectedFile(path, "empty file", "the file has no bytes; fetch it again or remove it")
        else:
            yield path, stamp
        found += 1
    if not found:
        raise ValueError(f"source folder {folder.root} holds no {' or '.join(endings)} file: expected {expected}")


def require_unchanged(folder: SourceFolder, path: str, listed: FileStamp) -> None:
    """Make sure that a container is the one that was listed: what lies where is known from then.

    Raises:
        UnusableItem: it is missing, or has another size or content tag.
        OSError: a remote store failed; trying again may help.
    """
    now = folder.stamp(path)
    if (now.size, now.tag) != (listed.size, listed.tag):
        raise UnusableItem("changed since listing", f"{path} had {listed.size} bytes and now has {now.size}; plan the source again")


def split_of(path: str) -> str | None:
    """Split that a container's name (`train-00000-of-00002.parquet`) or else a folder (`train/`) names."""
    parts = PurePosixPath(path).parts
    words = (re.split(r"[-_.]", parts[-1].lower(), maxsplit=1)[0], *(part.lower() for part in reversed(parts[:-1])))
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), None)


def read_label(said: Mapping[str, object], path: str) -> tuple[Emotion | None, str | None]:
    """The emotion that is said of a picture by name (`LABEL_NAMES`, `CLASS_NAMES`), or why what stands there is none.

    Raises:
        UnusableItem: two names say different emotions.
    """
    by_name = [(name, _one_text(value)) for name, value in said.items() if value is not None and value != ""]
    meant = [(name, value) for known in (*LABEL_NAMES, *CLASS_NAMES) for name, value in by_name if name.lower() == known]
    found = {name: emotion for name, value in meant if (emotion := known_emotion(value)) is not None}
    if len(set(found.values())) > 1:
        words = " and ".join(f"{emotion} ({name})" for name, emotion in found.items())
        raise UnusableItem("contradictory emotion", f"{path} is called {words}; correct its annotation")
    if found:
        return next(iter(found.values())), None
    unknown = [f"{name} {str(value)[:60]!r}" for name, value in meant if name.lower() in LABEL_NAMES]
    if not unknown:
        return None, None
    return None, f"{', '.join(unknown)} names none of the eight emotions; correct it, or take it as a picture without a label"


def said_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """For `json.loads`: an object in which a key that stands twice has both values, so that neither is taken for the one that is meant."""
    said: dict[str, object] = {}
    for key, value in pairs:
        said[key] = value if key not in said or said[key] == value else [said[key], value]
    return said


def _one_text(value: object) -> object:
    """A text however it is stored: as bytes, in a list of one, or as the name in a record (`{"id": 1, "name": "awe"}`)."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = next((value[name] for name in ("name", "label", "text", "value") if isinstance(value.get(name), str)), value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def with_annotation(
    item: SourceItem, said: Mapping[str, object], label: tuple[Emotion | None, str | None], attributes: Mapping[str, object]
) -> SourceItem:
    """The item with what is said of its picture by name: split, artist, style, genre and licence; and `attributes`, kept as JSON.

    Split and licence stay as they were listed where nothing is said of them.

    Args:
        label: as `read_label` gives it.
    """
    said = {name.lower(): value for name, value in said.items()}
    return replace(
        item,
        label=label[0],
        label_left_out=label[1],
        split=known_split(said.get("split")) or item.split,
        artist=known_text(said.get("artist")),
        style=known_text(said.get("style")),
        genre=known_text(said.get("genre")),
        licence=known_text(said.get("licence")) or known_text(said.get("license")) or item.licence,
        attributes=json.dumps(attributes, sort_keys=True) if attributes else None,
    )


def require_success(said: Mapping[str, object], path: str) -> None:
    """Raises UnusableItem, with the status as its reason, where the status is another one than img2dataset's success."""
    status = said.get("status")
    if isinstance(status, str) and status != SUCCESS:
        detail = f"{path}: img2dataset says {said.get('error_message')!r}; download it again or leave it out"
        raise UnusableItem(status_reason(status), detail)


def status_reason(status: str) -> str:
    """A status that is no success, as the reason of a rejection."""
    return printable(status)[:60] or "no status"


def known_split(value: object) -> str | None:
    """Split that a word names; None for any other value."""
    return _SPLIT_WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def known_emotion(value: object) -> Emotion | None:
    """Emotion that a word names; None for any other value."""
    try:
        return parse_emotion(value) if isinstance(value, str) else None
    except ValueError:
        return None


def known_text(value: object) -> str | None:
    """A text that every table can hold; None for an empty one and any other value."""
    return printable(value) if isinstance(value, str) and value else None
