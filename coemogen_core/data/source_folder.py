"""The folder that a source lies in, local or remote: what files it has, and their bytes. Paths below it never leave it."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import fsspec

from coemogen_core.data.source_item import FileStamp, UnusableItem

PICTURE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MAX_FILE_BYTES = 128 * 2**20
MAX_DEPTH = 16
_TAG_KEYS = ("ETag", "etag", "md5Hash", "checksum", "blob_id")


class SourceFolder:
    """A root URI (a local path, `s3://...`, `gs://...`, `memory://...`) and the files below it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.filesystem, path = fsspec.core.url_to_fs(root)
        self._path = path.rstrip("/")

    @cached_property
    def is_local(self) -> bool:
        """Whether the files lie on a disk of this machine."""
        protocol = self.filesystem.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def require(self, expected: str) -> None:
        """Make sure that the root is a folder.

        Raises:
            FileNotFoundError: it does not exist.
            NotADirectoryError: it is a file.
        """
        if not self.filesystem.exists(self._path):
            raise FileNotFoundError(f"source folder {self.root} does not exist: give the folder that holds {expected}")
        if not self.filesystem.isdir(self._path):
            raise NotADirectoryError(f"source {self.root} is a file: give the folder that holds {expected}")

    @cached_property
    def lasting_root(self) -> str:
        """The root as any process finds it: a local one made absolute."""
        return self._path if self.is_local else self.root

    def files(self) -> dict[str, FileStamp | None]:
        """All files at any depth, by path relative to the root; None marks what is no regular file (a pipe, a device, a dead link).

        Hidden names (starting with a dot) are left out, links are followed, but never in a circle.
        """
        return dict(self._walk(self._path, MAX_DEPTH))

    def read(self, path: str, stamp: FileStamp | None = None) -> bytes:
        """Bytes of one file.

        Args:
            path: relative to the root.
            stamp: what the listing said; a file that has another size by now is refused.

        Raises:
            UnusableItem: the file is missing, unreadable, too large or another one than was listed.
            OSError: a remote store failed; trying again may help.
        """
        listed_size = stamp.size if stamp is not None else None
        if listed_size is not None and listed_size > MAX_FILE_BYTES:
            raise _too_large(path)
        bounds = {} if listed_size is not None else {"start": 0, "end": MAX_FILE_BYTES + 1}
        try:
            data: bytes = self.filesystem.cat_file(f"{self._path}/{path}", **bounds)
        except FileNotFoundError as error:
            raise UnusableItem("missing file", f"{path} is not below {self.root}; restore it or take it off the list") from error
        except OSError as error:
            if self.is_local or isinstance(error, PermissionError | IsADirectoryError):
                raise UnusableItem("unreadable file", f"{path}: {error}; check its permissions and the disk") from error
            raise
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(path)
        if listed_size is not None and listed_size != len(data):
            raise UnusableItem("changed since listing", f"{path} had {listed_size} bytes and now has {len(data)}; plan the source again")
        return data

    def _walk(self, folder: str, depth: int) -> Iterator[tuple[str, FileStamp | None]]:
        for info in self.filesystem.ls(folder, detail=True):
            name = info["name"].rstrip("/")
            if name == folder or name.rsplit("/", 1)[-1].startswith("."):
                continue
            target = self._follow(info) if info.get("islink") else info
            if target is not None and target["type"] == "directory":
                if depth > 1:
                    yield from self._walk(name, depth - 1)
            else:
                yield name[len(self._path) + 1 :], _stamp(target) if target is not None and target["type"] == "file" else None

    def _follow(self, info: dict[str, Any]) -> dict[str, Any] | None:
        """What a link leads to; None for a dead link and for one that leads back to a folder it lies in."""
        try:
            target: dict[str, Any] = self.filesystem.info(info["name"])
        except OSError:
            return None
        here, there = os.path.realpath(os.path.dirname(info["name"])), os.path.realpath(info["name"])  # noqa: PTH120
        circular = target["type"] == "directory" and f"{here}/".startswith(f"{there}/")
        return None if circular else target


def is_picture(path: str) -> bool:
    """Whether a file's name ends like a picture's."""
    return path.lower().endswith(PICTURE_ENDINGS)


def safe_relative_path(text: object) -> str:
    """A path from a list file, made sure to stay below the root.

    Returns:
        The path with `/`, without `.` parts.

    Raises:
        UnusableItem: it is no text, empty, absolute, climbs out by `..`, or is no plain path at all.
    """
    if not isinstance(text, str) or not text.strip():
        raise UnusableItem("unsafe path", f"{text!r} is no path; write one relative to the source's root")
    drive_or_scheme = ":" in text.split("/", 1)[0]
    if text.startswith(("/", "~")) or "\\" in text or drive_or_scheme or not is_plain_text(text):
        raise UnusableItem("unsafe path", f"{text!r} is no plain relative path; write it relative to the source's root, with '/'")
    parts = PurePosixPath(text).parts
    if ".." in parts or not parts:
        raise UnusableItem("unsafe path", f"{text!r} leads out of the source's root; move the file below it")
    return "/".join(parts)


def is_plain_text(text: str) -> bool:
    """Whether a name is valid Unicode without control characters (a disk's file names need not be)."""
    return not any(character < " " or "\ud800" <= character <= "\udfff" for character in text)


def _too_large(path: str) -> UnusableItem:
    return UnusableItem("file too large", f"{path} has more than {MAX_FILE_BYTES // 2**20} MiB; reduce the picture or remove it")


def _stamp(info: dict[str, Any]) -> FileStamp:
    tag = next((str(info[key]) for key in _TAG_KEYS if info.get(key)), None)
    modified = info.get("mtime")
    return FileStamp(size=info.get("size"), tag=tag, modified=float(modified) if isinstance(modified, int | float) else None)
