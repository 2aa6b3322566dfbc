"""Where a listing is cut into parts: decided by the entries themselves, never by their position or by earlier plans.

A part ends before the entry of smallest hash among those that lie in the second half of what a part may hold. An entry more or less shifts
that choice by one place, which seldom changes the smallest; where it does, the next cuts soon fall on the same entries again. So a change
of the listing touches the part that it lies in, now and then its neighbours, and the same entries are cut alike wherever they are listed.
Parts hold three quarters of `part_size` on average. One part is in memory; the cost is one short hash an entry (100 s for 100 million).
"""

import hashlib
from collections.abc import Iterable, Iterator

from coemogen_core.data.source_item import RejectedFile, SourceItem

MAX_PART_BYTES = 256 * 2**20  # a part of large scans is cut earlier, so that memory stays bounded

Entry = SourceItem | RejectedFile


def cut_into_parts(listed: Iterable[Entry], part_size: int) -> Iterator[list[Entry]]:
    """Consecutive runs of at most `part_size` entries and, unless a single file is larger, `MAX_PART_BYTES`."""
    waiting: list[Entry] = []
    total = 0
    for entry in listed:
        size = _size(entry)
        while waiting and (len(waiting) == part_size or total + size > MAX_PART_BYTES):
            part, waiting = _divided(waiting, entry)
            total -= sum(map(_size, part))
            yield part
        waiting.append(entry)
        total += size
    if waiting:
        yield waiting


def _divided(full: list[Entry], following: Entry) -> tuple[list[Entry], list[Entry]]:
    """A part, and what is left of the entries; `following` is the one that found no room."""
    first = max(1, (len(full) + 1) // 2)
    end = min(range(first, len(full) + 1), key=lambda index: _rank(full[index] if index < len(full) else following))
    return full[:end], full[end:]


def _rank(entry: Entry) -> bytes:
    return hashlib.blake2b(entry.path.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _size(entry: Entry) -> int:
    return (entry.stamp.size or 0) if isinstance(entry, SourceItem) else 0
