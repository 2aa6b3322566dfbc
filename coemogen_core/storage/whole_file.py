"""Files that appear whole or not at all: on a disk under a hidden temporary name first, then moved; in an object store by one request.

An object appears when its upload is completed, at once and whole; an upload that was broken off never does.
"""

import errno
import fcntl
import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from coemogen_core.errors import CoEmoGenError
from coemogen_core.storage.location import resolve

REMEDY = "free some space there, then run the same again; every finished part is kept, and nothing half-written is left"


class NoRoomError(CoEmoGenError, OSError):
    """The disk, or the quota, is full. The message names the file that found no room."""

    def __str__(self) -> str:
        return str(self.strerror)


def write_atomically(uri: str, data: bytes | memoryview, *, replace: bool = True) -> None:
    """Write a file whole or not at all.

    Raises:
        FileExistsError: `replace` is off and the file exists. On local disks and where the storage has conditional writes (S3, GCS, memory)
            exactly one of several writers wins.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        with written_whole(uri, replace=replace) as file:
            file.write(data)
        return
    with _room_for(uri):
        filesystem.pipe_file(path, bytes(data), mode="overwrite" if replace else "create")


@contextmanager
def written_whole(uri: str, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write a stream to, which appears when the block ends well.

    What a killed process left half-written on a disk is taken over by whoever writes the same file next.

    Raises:
        IsADirectoryError: there is a folder of that name on this disk.
        FileExistsError: `replace` is off (local disks only) and the file exists.
        NoRoomError: the disk, or the quota, is full.
    """
    filesystem, path = resolve(uri)
    with _room_for(uri):
        if isinstance(filesystem, LocalFileSystem):
            if Path(path).is_dir():
                raise IsADirectoryError(f"{uri} is a folder: give the name of a file in it")
            with _moved(path, replace=replace) as file:
                yield file
        elif isinstance(filesystem, MemoryFileSystem):  # there an opened file appears at once
            with io.BytesIO() as file:
                yield file
                filesystem.pipe_file(path, file.getvalue())
        else:
            with _uploaded(filesystem, path) as file:
                yield file


@contextmanager
def _room_for(uri: str) -> Iterator[None]:
    """Names the file that found no room."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(error.errno, f"no room for {uri}: {REMEDY}") from error
        raise


@contextmanager
def _moved(path: str, *, replace: bool) -> Iterator[BinaryIO]:
    """A local file under a temporary name that becomes its own at the end."""
    temporary = Path(path).with_name(f".{Path(path).name}.tmp")
    try:
        with _locked_file(temporary) as (file, temporary):
            yield file
            file.flush()
            if replace:
                temporary.replace(path)  # while it is locked: nobody takes it over
            else:
                os.link(temporary, path)  # unlike a move, fails when the target exists
                temporary.unlink()
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _uploaded(filesystem: AbstractFileSystem, path: str) -> Iterator[BinaryIO]:
    """An object that is sent block by block, and completed when the block ends well."""
    file = filesystem.open(path, "wb")
    try:
        yield file
    except BaseException:
        file.discard()
        file.closed = True  # or it would be completed when it is forgotten
        raise
    file.close()


def remove_leftovers(uri: str) -> None:
    """Remove the temporary files in a folder of this machine that a killed process left half-written; nobody is writing them any more."""
    filesystem, path = resolve(uri)
    if not isinstance(filesystem, LocalFileSystem):
        return
    for file in list(Path(path).iterdir()) if Path(path).is_dir() else []:
        if file.name.startswith(".") and file.name.endswith(".tmp") and file.is_file() and not file.is_symlink():
            with file.open("ab") as held:
                if _is_ours(held.fileno(), file):
                    file.unlink(missing_ok=True)


@contextmanager
def _locked_file(temporary: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """An empty file of this name, locked until it is closed; of a name of its own where another process writes it, or nothing locks."""
    temporary.parent.mkdir(parents=True, exist_ok=True)
    place = temporary
    file = place.open("ab")  # closed below; nothing may be cut off before it is known to be ours
    if not _is_ours(file.fileno(), place):
        file.close()
        place = temporary.with_name(f"{temporary.name.removesuffix('.tmp')}.{uuid.uuid4().hex}.tmp")
        file = place.open("xb")
    with file:
        file.truncate(0)
        yield file, place


def _is_ours(descriptor: int, place: Path) -> bool:
    """Whether we have the lock, and the file still has that name: its writer may have finished in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except OSError:
        return False
