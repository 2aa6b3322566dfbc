"""Files that appear whole or not at all, wherever fsspec writes: under a hidden temporary name first, then moved."""

import errno
import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from coemogen_core.errors import CoEmoGenError
from coemogen_core.storage.location import resolve

REMEDY = "free some space there, then run the same again; every finished part is kept, and nothing half-written is left"


class NoRoomError(CoEmoGenError, OSError):
    """The disk, or the quota, is full. The message names the file that found no room."""

    def __str__(self) -> str:
        return str(self.strerror)


def write_atomically(uri: str, data: bytes | memoryview, *, replace: bool = True) -> None:
    """Write a file under a hidden temporary name beside its target, then move it there.

    Raises:
        FileExistsError: `replace` is off and the file exists. On local disks and where the storage has conditional writes (S3, GCS, memory)
            exactly one of several writers wins.
    """
    filesystem, path = resolve(uri)
    if not replace and not isinstance(filesystem, LocalFileSystem):
        filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        filesystem.pipe_file(path, bytes(data), mode="create")  # object storage writes whole objects only
        return
    with written_whole(uri, replace=replace) as file:
        file.write(data)


@contextmanager
def written_whole(uri: str, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write a stream to, under a hidden temporary name that becomes its own when the block ends well.

    What a killed process left half-written is taken over by whoever writes the same file next.

    Raises:
        IsADirectoryError: there is a folder of that name.
        FileExistsError: `replace` is off (local disks only) and the file exists.
        NoRoomError: the disk, or the quota, is full.
    """
    filesystem, path = resolve(uri)
    if filesystem.isdir(path):
        raise IsADirectoryError(f"{uri} is a folder: give the name of a file in it")
    local = isinstance(filesystem, LocalFileSystem)
    temporary = f"{path.rpartition('/')[0]}/.{path.rpartition('/')[2]}.tmp"
    try:
        with _local_file(temporary) if local else _remote_file(filesystem, temporary) as (file, written):
            temporary = written
            yield file
            file.flush()
            if local and replace:
                Path(temporary).replace(path)  # while it is locked: nobody takes it over
            elif local:
                os.link(temporary, path)  # unlike a move, fails when the target exists
                Path(temporary).unlink()
        if not local:  # not `mv`, which takes brackets in a name for a pattern
            filesystem.cp_file(temporary, path)
            filesystem.rm_file(temporary)
    except BaseException as error:
        if filesystem.exists(temporary):
            filesystem.rm_file(temporary)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(error.errno, f"no room for {uri}: {REMEDY}") from error
        raise


def remove_leftovers(uri: str) -> None:
    """Remove the temporary files in a folder of this machine that a killed process left half-written; nobody is writing them any more."""
    filesystem, path = resolve(uri)
    if not isinstance(filesystem, LocalFileSystem):
        return
    for file in list(Path(path).iterdir()) if Path(path).is_dir() else []:
        if file.name.startswith(".") and file.name.endswith(".tmp") and file.is_file() and not file.is_symlink():
            with file.open("ab") as held:
                if _is_ours(held.fileno(), str(file)):
                    file.unlink(missing_ok=True)


@contextmanager
def _local_file(temporary: str) -> Iterator[tuple[BinaryIO, str]]:
    """An empty file of this name, locked until it is closed; of a name of its own where another process writes it, or nothing locks."""
    Path(temporary).parent.mkdir(parents=True, exist_ok=True)
    name = temporary
    file = Path(name).open("ab")  # noqa: SIM115  closed below; nothing may be cut off before it is known to be ours
    if not _is_ours(file.fileno(), name):
        file.close()
        name = f"{temporary.removesuffix('.tmp')}.{uuid.uuid4().hex}.tmp"
        file = Path(name).open("xb")  # noqa: SIM115
    with file:
        file.truncate(0)
        yield file, name


def _is_ours(descriptor: int, name: str) -> bool:
    """Whether we have the lock, and the file still has that name: its writer may have finished in between."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), Path(name).stat())
    except OSError:
        return False


@contextmanager
def _remote_file(filesystem: AbstractFileSystem, temporary: str) -> Iterator[tuple[BinaryIO, str]]:
    name = f"{temporary.removesuffix('.tmp')}.{uuid.uuid4().hex}.tmp"
    filesystem.makedirs(name.rpartition("/")[0], exist_ok=True)
    with filesystem.open(name, "wb") as file:
        yield file, name
