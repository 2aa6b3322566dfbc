"""The folder that a source lies in, local or remote: what files it has, and their bytes. Paths below it never leave it."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any

from coemogen_core.data.source_item import FileStamp, UnusableItem, printable
from coemogen_core.storage.location import resolve

PICTURE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_CAMERAS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2")
_OTHERS = (".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".ico", ".tga", ".ppm", ".pgm", ".exr")
UNREAD_ENDINGS = _OTHERS + _CAMERAS
"""Of pictures that no decoder here reads: they are listed as rejected."""
MAX_FILE_BYTES = 128 * 2**20
MAX_DEPTH = 16
REMOTE_BLOCK = 2**16
_TAG_KEYS = ("ETag", "etag", "md5Hash", "checksum", "blob_id")


class SourceFolder:
    """A root URI (a local path, `s3://...`, `gs://...`, `memory://...`) and the files below it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.filesystem, path = resolve(root)
        self._path = path.rstrip("/")

    @cached_property
    def is_local(self) -> bool:
        """Whether the files lie on a disk of this machine."""
        protocol = self.filesystem.protocol
        return "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def require(self, expected: str) -> None:
        """Make sure that the root is a folder. Raises FileNotFoundError when it does not exist, NotADirectoryError for a file."""
        if not self.filesystem.exists(self._path):
            raise FileNotFoundError(f"source folder {self.root} does not exist: give the folder that holds {expected}")
        if not self.filesystem.isdir(self._path):
            raise NotADirectoryError(f"source {self.root} is a file: give the folder that holds {expected}")

    @cached_property
    def lasting_root(self) -> str:
        """The root as any process finds it: a local one made absolute."""
        return self._path if self.is_local else self.root

    def parent(self) -> "SourceFolder | None":
        """The folder that holds the root; None where the root is the top."""
        above = self._path.rpartition("/")[0]
        return SourceFolder(self.filesystem.unstrip_protocol(above)) if above else None

    def walk(self) -> Iterator[tuple[str, FileStamp | None]]:
        """All files at any depth, sorted by path relative to the root (as text that tables can hold); one folder at a time is in memory.

        None marks what is no regular file (a pipe, a device, a dead link), and a folder below `MAX_DEPTH` others, whose path ends with '/':
        nobody looks into it. Hidden names (starting with a dot) are left out, links are followed, but never in a circle.
        """
        return self._walk(self._path, MAX_DEPTH + 1)

    def read(self, path: str, stamp: FileStamp | None = None) -> bytes:
        """Bytes of one file; one that has another size by now than its stamp says is refused.

        Raises:
            UnusableItem: the file is missing, unreadable, too large or another one than was listed.
            OSError: a remote store failed; trying again may help.
        """
        listed_size = stamp.size if stamp is not None else None
        if listed_size is not None and listed_size > MAX_FILE_BYTES:
            raise _too_large(path)
        data = self._fetch(path, {} if listed_size is not None else {"start": 0, "end": MAX_FILE_BYTES + 1})
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(path)
        if listed_size is not None and listed_size != len(data):
            raise UnusableItem("changed since listing", f"{path} had {listed_size} bytes and now has {len(data)}; plan the source again")
        return data

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """A run of bytes of one file; nothing else of it is read.

        Raises:
            UnusableItem: the file is missing, unreadable or ends before.
            OSError: a remote store failed; trying again may help.
        """
        data = self._fetch(path, {"start": start, "end": start + size}) if size else b""
        if len(data) != size:
            raise UnusableItem("truncated", f"{path} ends at byte {start + len(data)}, expected {start + size}; fetch it again")
        return data

    def stamp(self, path: str) -> FileStamp:
        """What the filesystem tells about one file now.

        Raises:
            UnusableItem: there is no such file.
            OSError: a remote store failed; trying again may help.
        """
        with self._errors_named(path):
            return _stamp(self.filesystem.info(f"{self._path}/{path}"))

    def local_path(self, path: str) -> str | None:
        """Where one file lies on this machine's disk; None where it is remote."""
        return f"{self._path}/{path}" if self.is_local else None

    def open(self, path: str, cache_type: str = "readahead") -> Any:
        """One file for reading here and there; where it is remote, by requests of `REMOTE_BLOCK`, or as asked (`none`).

        Raises:
            UnusableItem: the file is missing or unreadable.
            OSError: a remote store failed; trying again may help.
        """
        options = {} if self.is_local else {"block_size": REMOTE_BLOCK, "cache_type": cache_type}
        with self._errors_named(path):
            return self.filesystem.open(f"{self._path}/{path}", "rb", **options)

    def _fetch(self, path: str, bounds: dict[str, int]) -> bytes:
        with self._errors_named(path):
            data: bytes = self.filesystem.cat_file(f"{self._path}/{path}", **bounds)
        return data

    @contextmanager
    def _errors_named(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise UnusableItem("missing file", f"{path} is not below {self.root}; restore it or take it off the list") from error
        except OSError as error:
            if self.is_local or isinstance(error, PermissionError | IsADirectoryError):
                raise UnusableItem("unreadable file", f"{path}: {error}; check its permissions and the disk") from error
            raise

    def _walk(self, folder: str, depth: int) -> Iterator[tuple[str, FileStamp | None]]:
        for _, name, is_folder, stamp in sorted(self._entries(folder), key=itemgetter(0)):
            if not is_folder:
                yield name[len(self._path) + 1 :], stamp
            elif depth > 1:
                yield from self._walk(name, depth - 1)
            else:
                yield f"{name[len(self._path) + 1 :]}/", None

    def _entries(self, folder: str) -> Iterator[tuple[str, str, bool, FileStamp | None]]:
        """Sorting key, name, whether it is a folder, and stamp. A folder's key ends with '/', as its files' paths do."""
        for info in self._list(folder):
            name = info["name"].rstrip("/")
            if name == folder or name.rsplit("/", 1)[-1].startswith("."):
                continue
            target = self._follow(info) if info.get("islink") else info
            if target is not None and target["type"] == "directory":
                yield printable(f"{name}/"), name, True, None
            else:
                yield printable(name), name, False, _stamp(target) if target is not None and target["type"] == "file" else None

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        """The entries of one folder; of a local one they are never all in memory with everything that the disk knows about them."""
        if not self.is_local:
            yield from self.filesystem.ls(folder, detail=True)
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield self.filesystem.info(entry)

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
    return path.lower().endswith(PICTURE_ENDINGS + UNREAD_ENDINGS)


def same_name(path: str) -> str:
    """One spelling for all Unicode forms of a path: a list and a disk may write an accented letter in different ways."""
    return unicodedata.normalize("NFC", path)


def safe_relative_path(text: object) -> str:
    """A path from a list file, made sure to stay below the root: with `/`, without `.` parts.

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
