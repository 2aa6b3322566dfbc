"""Files that appear whole or not at all, wherever fsspec writes: under a hidden temporary name first, then moved."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from coemogen_core.errors import CoEmoGenError

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
    filesystem, path = fsspec.core.url_to_fs(uri)
    if not replace and not isinstance(filesystem, LocalFileSystem):
        filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        filesystem.pipe_file(path, bytes(data), mode="create")  # object storage writes whole objects only
        return
    with written_whole(uri, replace=replace) as file:
        file.write(data)


@contextmanager
def written_whole(uri: str, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write a stream to, under a hidden temporary name that becomes its own when the block ends well.

    Raises:
        IsADirectoryError: there is a folder of that name.
        FileExistsError: `replace` is off (local disks only) and the file exists.
        NoRoomError: the disk, or the quota, is full.
    """
    filesystem, path = fsspec.core.url_to_fs(uri)
    if filesystem.isdir(path):
        raise IsADirectoryError(f"{uri} is a folder: give the name of a file in it")
    folder, name = path.rsplit("/", 1)
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}.tmp"
    try:
        filesystem.makedirs(folder, exist_ok=True)
        with filesystem.open(temporary, "wb") as file:
            yield file
        if replace:
            filesystem.mv(temporary, path)
        else:
            os.link(temporary, path)  # unlike a move, fails when the target exists
            filesystem.rm_file(temporary)
    except BaseException as error:
        if filesystem.exists(temporary):
            filesystem.rm_file(temporary)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(error.errno, f"no room for {uri}: {REMEDY}") from error
        raise
