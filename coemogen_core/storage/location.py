"""Where a path or URI leads: its filesystem, and the path there. Everything is looked up by its own name and as it is now.

fsspec's own `open` takes `[`, `?` and `*` for patterns, and `::` for a chain of stores, which stand in names that people chose. And stores
remember listings: who asks the same process twice would not see what another one wrote in between.
"""

from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem


def resolve(uri: str) -> tuple[AbstractFileSystem, str]:
    """Filesystem and path of a local path, `s3://...`, `gs://...` or `memory://...`.

    Raises:
        ValueError: no such kind of store, or a store without the name of a bucket.
        ModuleNotFoundError: the package that opens such a store is not installed.
    """
    kind, separator, name = uri.partition("://")
    try:
        store = fsspec.get_filesystem_class(kind if separator else "file")
        options = {"use_listings_cache": False} if separator else {}
        filesystem, path = store(**options, **store._get_kwargs_from_urls(uri)), store._strip_protocol(uri)
    except ImportError as error:
        raise ModuleNotFoundError(f"{uri} needs a package that is not installed ({error}): install it, or give a local path") from error
    except ValueError as error:
        raise ValueError(f"{uri} cannot be opened ({error}): give a path, or s3://, gs:// or memory:// and a name") from error
    if separator and kind not in ("file", "local", "memory") and not name.strip("/"):
        raise ValueError(f"{uri} names no bucket: write {kind}://BUCKET/FOLDER")
    return filesystem, path


def open_file(uri: str, mode: str = "rb", **options: Any) -> Any:
    """A file, opened. Raises FileNotFoundError when it is to be read and does not exist, and as `resolve` does."""
    filesystem, path = resolve(uri)
    return filesystem.open(path, mode, **options)
