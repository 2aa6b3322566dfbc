"""Listings of sources: pictures as files in folders, and pictures inside containers."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from coemogen_core.data.source_folder import SourceFolder, is_picture, is_plain_text
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable

logger = logging.getLogger(__name__)

Describe = Callable[[str, FileStamp], SourceItem | RejectedFile]


def list_pictures(folder: SourceFolder, expected: str, describe: Describe) -> Iterator[SourceItem | RejectedFile]:
    """Every file whose name ends like a picture's, sorted by path; never more than the entries of one folder are in memory.

    Args:
        folder: the source's root.
        expected: the layout in words, for error messages.
        describe: makes an item (or a rejection) of a relative path and a stamp.

    Raises:
        FileNotFoundError, NotADirectoryError: the root is no folder.
        ValueError: there is no picture below it.
    """
    folder.require(expected)
    pictures = others = 0
    for path, stamp in folder.walk():
        if is_picture(path):
            pictures += 1
            yield _describe_safely(path, stamp, describe)
        else:
            others += 1
    if not pictures:
        raise ValueError(f"source folder {folder.root} holds no pictures ({others} other files): expected {expected}")
    if others:
        logger.info("%s: %d files whose names do not end like a picture's are left out", folder.root, others)


def _describe_safely(path: str, stamp: FileStamp | None, describe: Describe) -> SourceItem | RejectedFile:
    if not is_plain_text(path):
        detail = "the name is no valid Unicode text or has control characters; rename the file"
        return RejectedFile(printable(path), "unusable file name", detail)
    if stamp is None:
        return RejectedFile(
            path, "not a regular file", "a pipe, a device, a dead or circular link; put the picture itself there or remove it"
        )
    return describe(path, stamp)


_SPLIT_WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test"}


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
        if path.lower().endswith(unreadable_endings):
            yield RejectedFile(printable(path), "compressed archive", "single pictures cannot be read out of it; uncompress it")
        elif not path.lower().endswith(endings):
            continue
        elif not is_plain_text(path):
            yield RejectedFile(printable(path), "unusable file name", "no valid Unicode text, or control characters; rename the file")
        elif stamp is None:
            yield RejectedFile(path, "not a regular file", "a pipe, a device, a dead or circular link; put the file itself there")
        elif not stamp.size:
            yield RejectedFile(path, "empty file", "the file has no bytes; fetch it again or remove it")
        else:
            yield path, stamp
        found += 1
    if not found:
        raise ValueError(f"source folder {folder.root} holds no {' or '.join(endings)} file: expected {expected}")


def split_of(path: str) -> str | None:
    """Split that a container's name (`train-00000-of-00002.parquet`) or else a folder (`train/`) names."""
    parts = PurePosixPath(path).parts
    for word in (re.split(r"[-_.]", parts[-1].lower(), maxsplit=1)[0], *(part.lower() for part in reversed(parts[:-1]))):
        if word in _SPLIT_WORDS:
            return _SPLIT_WORDS[word]
    return None


def parse_split(text: object) -> str | None:
    """Split that a word names; None for any other."""
    return _SPLIT_WORDS.get(text.strip().lower()) if isinstance(text, str) else None


def require_unchanged(folder: SourceFolder, path: str, listed: FileStamp) -> None:
    """Make sure that a container is the one that was listed: what lies where is known from then.

    Raises:
        UnusableItem: it is missing, or has another size or content tag.
        OSError: a remote store failed; trying again may help.
    """
    now = folder.stamp(path)
    if (now.size, now.tag) != (listed.size, listed.tag):
        raise UnusableItem("changed since listing", f"{path} had {listed.size} bytes and now has {now.size}; plan the source again")
