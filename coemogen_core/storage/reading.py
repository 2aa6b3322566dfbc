"""Reading in few requests: an object store answers each after tens of milliseconds, however little it is about.

To ask for the end of a file tells whether it is there, what it holds, and, where it is small, all of it, in one request; to ask fsspec
whether it exists, how long it is, and to open it, takes one or two each.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from coemogen_core.storage.location import resolve

SMALL = 4 * 2**20  # bytes; whatever is no longer is read at once
FOOTER = 2**16  # bytes; of most Parquet files


def has_file(uri: str) -> bool:
    """Whether there is a file of this name that holds anything: a folder does not count."""
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        return filesystem.isfile(path)
    with suppress(FileNotFoundError):
        return bool(filesystem.cat_file(path, start=-1))
    return False


def read_whole(uri: str) -> bytes:
    """Content of a file. Raises FileNotFoundError when it does not exist."""
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        return filesystem.cat_file(path)
    try:
        return filesystem.cat_file(path, start=0)  # s3fs asks for its length where no range is given
    except (FileNotFoundError, PermissionError):
        raise
    except OSError:  # no range fits into an empty file
        return filesystem.cat_file(path)


@contextmanager
def opened_parquet(uri: str, buffer_size: int = 0, *, pre_buffer: bool = True) -> Iterator[tuple[pq.ParquetFile, bool]]:
    """A Parquet file, and whether Arrow's threads may read it: only where it is not read through Python.

    Else they may still hold it when the process ends, which then aborts, its work done (apache/arrow#34314, #50482). And a local file read
    through Python makes bytes of many MiB, which leave holes in the heap.

    Args:
        buffer_size, pre_buffer: how Arrow reads; neither where it reads through Python.

    Raises:
        FileNotFoundError: there is no such file.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        with pa.OSFile(path) as file:
            yield pq.ParquetFile(file, buffer_size=buffer_size, pre_buffer=pre_buffer), True
        return
    end: bytes = filesystem.cat_file(path, start=-SMALL)
    if len(end) < SMALL:
        yield pq.ParquetFile(pa.BufferReader(end), buffer_size=buffer_size, pre_buffer=pre_buffer), True
        return
    metadata = _metadata(filesystem, path, end)
    with filesystem.open(path, "rb") as file:
        yield pq.ParquetFile(file, metadata=metadata, pre_buffer=False), False


def count_rows(uri: str) -> int:
    """Rows of a Parquet file, by its footer alone. Raises FileNotFoundError when it does not exist."""
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        with pa.OSFile(path) as file:
            return int(pq.read_metadata(file).num_rows)
    return int(_metadata(filesystem, path, filesystem.cat_file(path, start=-FOOTER)).num_rows)


def _metadata(filesystem: AbstractFileSystem, path: str, end: bytes) -> pq.FileMetaData:
    """What a Parquet file's end says: a footer, its length in four bytes, `PAR1`. A footer that is longer is fetched."""
    (length,) = struct.unpack("<I", end[-8:-4])
    if length + 8 > len(end):
        end = filesystem.cat_file(path, start=-(length + 8))
    return pq.read_metadata(pa.BufferReader(end))
