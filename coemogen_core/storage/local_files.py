"""What a URI names as a file or folder of this machine's disk."""

import hashlib
import tempfile
import uuid
from functools import cache
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from coemogen_core.storage.location import resolve


def local_copy(uri: str, remedy: str) -> str:
    """A file on this machine's disk with the content of a URI: itself, or a copy of what it was when this process first asked for it.

    A copy is fetched once, by one request where the store allows that (fsspec's caches take half a dozen), and goes with the process.

    Raises:
        FileNotFoundError: there is no such file; the message ends with the remedy.
    """
    filesystem, path = resolve(uri)
    if isinstance(filesystem, LocalFileSystem):
        if not filesystem.isfile(path):
            raise FileNotFoundError(f"{uri} does not exist: {remedy}")
        return str(path)
    copy = Path(_copies().name) / hashlib.sha256(uri.encode()).hexdigest()
    if not copy.exists():
        fetched = copy.with_suffix(f".{uuid.uuid4().hex}")
        try:
            filesystem.get_file(path, str(fetched))
            fetched.rename(copy)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{uri} does not exist: {remedy}") from error
        finally:
            fetched.unlink(missing_ok=True)
    return str(copy)


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="coemogen-copies-")


def local_folder(uri: str) -> Path | None:
    """The folder on this machine's disk that a URI names; None when it lies elsewhere."""
    filesystem, path = resolve(uri)
    return Path(path) if isinstance(filesystem, LocalFileSystem) else None
