"""`memory://` that counts what would be requests to an object store, as s3fs sends them.

A file's size or content in one stretch is one; what is missing costs a second, for it might be a folder; whole files are read after a look
at their size. A listing is one for every thousand names. A file that is opened is asked for its size, then read ahead from wherever it is
read next; a written one is sent when it is closed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

LISTED_AT_ONCE = 1000
BLOCK = 50 * 2**20  # s3fs reads ahead so far, and sends larger files in blocks of this size

counted: Counter[str] = Counter()
"""By the words of S3's protocol."""


class CountingStorage(MemoryFileSystem):
    """Counts into `counted`; shares its files with every other `memory://`."""

    cachable = False

    def info(self, path: str, **options: Any) -> Any:
        """One to look at a file, a second where there is none."""
        counted["HEAD"] += 1
        if self._strip_protocol(path) not in self.store:
            counted["LIST"] += 1
        return super().info(path, **options)

    def isdir(self, path: str) -> bool:
        """One listing."""
        counted["LIST"] += 1
        path = self._strip_protocol(path)
        return any(name.startswith(f"{path}/") for name in self.store)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """One for every thousand names; where there is none, it might be a file, and all that is around it is listed."""
        try:
            found = super().ls(path, detail, **options)
        except FileNotFoundError:
            around = self._strip_protocol(path).rpartition("/")[0] + "/"
            names = {name.removeprefix(around).partition("/")[0] for name in self.store if name.startswith(around)}
            counted["LIST"] += 1 + (-(-len(names) // LISTED_AT_ONCE) or 1)
            raise
        counted["LIST"] += -(-len(found) // LISTED_AT_ONCE)
        return found

    def find(self, path: str, *arguments: Any, prefix: str = "", **options: Any) -> Any:
        """One for every thousand names; where there is none and no prefix, two more, for it might be a file or a folder."""
        if prefix:
            found = sorted(name for name in self.store if name.startswith(f"{self._strip_protocol(path)}/{prefix}"))
            counted["LIST"] += -(-len(found) // LISTED_AT_ONCE) or 1
            return found
        found = super().find(path, *arguments, **options)
        if not found:
            counted["HEAD"] += 1
        counted["LIST"] += -(-len(found) // LISTED_AT_ONCE) or 2
        return found

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: ARG002  fsspec's signature
        """There are no folders; s3fs looks whether the bucket is there."""
        counted["HEAD"] += 1

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """One, after a look at the size where the whole is wanted."""
        if start is None and end is None:
            counted["HEAD"] += 1
        counted["GET"] += 1
        return bytes(self._file(path).getvalue()[start:end])

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """One."""
        counted["GET"] += 1
        Path(lpath).write_bytes(self._file(rpath).getvalue())

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """One, conditional or not."""
        counted["PUT"] += 1
        path = self._strip_protocol(path)
        if mode == "create" and path in self.store:
            raise FileExistsError(path)
        self.store[path] = MemoryFile(self, path, bytes(value))

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """One, after a look at the size."""
        counted["HEAD"] += 1
        counted["COPY"] += 1
        self.store[self._strip_protocol(path2)] = MemoryFile(self, path2, self._file(path1).getvalue())

    def rm_file(self, path: str) -> None:
        """One."""
        counted["DELETE"] += 1
        self.store.pop(self._strip_protocol(path), None)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, autocommit: bool = True, **options: Any) -> Any:
        return _CountedFile(self, self._strip_protocol(path), mode, block_size or BLOCK, autocommit, **options)

    def _file(self, path: str) -> MemoryFile:
        path = self._strip_protocol(path)
        if path not in self.store:
            raise FileNotFoundError(path)
        return self.store[path]


class _CountedFile(AbstractBufferedFile):
    """Reads ahead, and appears when it is closed or committed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end) if start < end else b""

    def _initiate_upload(self) -> None:
        self.sent = b""

    def _upload_chunk(self, final: bool = False) -> bool:
        self.sent += self.buffer.getvalue()
        if not final:
            counted["PUT"] += 1
        elif self.autocommit:
            self.commit()
        return True

    def commit(self) -> None:
        """Now it is there."""
        self.fs.pipe_file(self.path, self.sent)

    def discard(self) -> None:
        """It never was."""
        self.sent = b""


@contextmanager
def counted_requests() -> Iterator[Counter[str]]:
    """Within the block `memory://` counts, from nought."""
    counted.clear()
    fsspec.register_implementation("memory", CountingStorage, clobber=True)
    try:
        yield counted
    finally:
        fsspec.register_implementation("memory", MemoryFileSystem, clobber=True)
