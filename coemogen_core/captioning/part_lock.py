"""One run at a time captions a part of a local workspace; the operating system frees the lock of a process that dies.

A bucket has no such locks: there two runs may ask for the same caption, and the first one to write wins (`Table.write_part`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from coemogen_core.data.workspace import local_folder

POLL_S = 0.1

logger = logging.getLogger(__name__)


@contextmanager
def part_lock(table_uri: str, part: str, recipe_id: str) -> Iterator[None]:
    """Hold the lock of a part and recipe; waits while another run, thread or process, holds it."""
    folder = local_folder(table_uri)
    if folder is None:
        yield
        return
    (folder / part).mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / part / f".{recipe_id}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.warning("another run is captioning part %s of %s: waiting for it", part, table_uri)
        lock.acquire(poll_interval=POLL_S)
    try:
        yield
    finally:
        lock.release()
