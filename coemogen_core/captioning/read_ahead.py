"""Compute the next items of a stream in a background thread while the current one is used."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in order, with up to `depth` of them computed in advance by one thread.

    The stream is only ever touched by that thread, so that a generator is safe; its exception is raised at the item that met it.
    """
    stream = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        pending: deque[Future] = deque(thread.submit(next, stream, end) for _ in range(depth + 1))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, stream, end))
                yield item
        finally:
            for future in pending:
                future.cancel()
