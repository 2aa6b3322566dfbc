"""Reads the files of one part: every picture is fetched, joined with its annotation, decoded and hashed, or rejected with a reason."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from coemogen_core.data.decode import UnreadableImage, decode_image
from coemogen_core.data.part_plan import PartPlan
from coemogen_core.data.readers.reader import LoadItem, SourceReader
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.recipe import recipe_id
from schemas.tables import Images, Rejected

LOCAL_THREADS = (os.cpu_count() or 1) + 1  # decoding releases the interpreter lock, so each core is busy; more only switch
REMOTE_THREADS = max(16, LOCAL_THREADS)  # hide the time that a store takes to answer
AHEAD = 4  # pictures per thread that may wait for their turn


@dataclass(frozen=True, slots=True)
class AcceptedImage:
    """One picture that was read and decoded to its end."""

    item: SourceItem
    image_id: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ExaminedPart:
    """Rows of one part: `images` in the schema Images, `rejected` in the schema Rejected; together one row per listed entry."""

    images: pl.DataFrame
    rejected: pl.DataFrame

    def content(self) -> str:
        """Hash of what the files hold, pictures and annotations."""
        return recipe_id("content", {"images": self.images.drop("image").rows(), "rejected": self.rejected.drop("detail").rows()})


def examine_part(plan: PartPlan) -> ExaminedPart:
    """Read and check all files of a part; holds the bytes of one part in memory.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    examined = list(examine(plan))
    accepted = [outcome for outcome in examined if isinstance(outcome, AcceptedImage)]
    return ExaminedPart(image_rows(accepted), rejected_rows(outcome for outcome in examined if isinstance(outcome, RejectedFile)))


def examine(plan: PartPlan) -> Iterator[AcceptedImage | RejectedFile]:
    """What becomes of every entry of a part: first those that were rejected while listing, then all items in their order.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    yield from plan.rejected
    reader = open_reader(plan.layout, plan.root, plan.licence, plan.image_column)
    workers = LOCAL_THREADS if reader.folder.is_local else REMOTE_THREADS
    with ThreadPoolExecutor(workers) as threads:
        yield from _without_duplicates(_examined(threads, AHEAD * workers, reader, plan.items))


def _examined(
    threads: ThreadPoolExecutor, ahead: int, reader: SourceReader, items: Sequence[SourceItem]
) -> Iterator[AcceptedImage | RejectedFile]:
    """In the order of the items; a reader that reads ahead is never more than a few pictures ahead."""
    running: deque[Future[AcceptedImage | RejectedFile]] = deque()
    for item, load in zip(items, reader.load_items(items), strict=True):
        running.append(threads.submit(examine_item, item, load))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def examine_item(item: SourceItem, load: LoadItem) -> AcceptedImage | RejectedFile:
    """Read, join and decode one picture."""
    try:
        joined, data = load()
        width, height = decode_image(data).size
    except (UnusableItem, UnreadableImage) as error:
        return RejectedFile(item.path, error.reason, printable(error.detail))
    return AcceptedImage(joined, hashlib.sha256(data).hexdigest(), data, width, height)


def _without_duplicates(examined: Iterator[AcceptedImage | RejectedFile]) -> Iterator[AcceptedImage | RejectedFile]:
    """Of equal files the first in the listing stays."""
    first: dict[str, SourceItem] = {}
    for outcome in examined:
        if isinstance(outcome, RejectedFile) or (kept := first.setdefault(outcome.image_id, outcome.item)) is outcome.item:
            yield outcome
        else:
            yield RejectedFile(outcome.item.path, "duplicate", _duplicate_detail(kept, outcome.item))


def _duplicate_detail(kept: SourceItem, dropped: SourceItem) -> str:
    labels = f", there labelled {kept.label}, here {dropped.label}" if kept.label != dropped.label else ""
    return f"the same bytes as {kept.path}{labels}; remove one of the two"


def image_rows(accepted: Sequence[AcceptedImage]) -> pl.DataFrame:
    """Rows in the schema Images."""
    said = ("label", "split", "artist", "style", "genre", "licence", "attributes")
    columns: dict[str, Any] = {
        "image_id": [image.image_id for image in accepted],
        "image": _struct({"bytes": [image.data for image in accepted], "path": [image.item.path for image in accepted]}),
        "width": [image.width for image in accepted],
        "height": [image.height for image in accepted],
    }
    columns |= {name: [getattr(image.item, name) for image in accepted] for name in said}
    return pl.DataFrame(columns, schema=Images.create_empty().schema)


def _struct(fields: dict[str, list[Any]]) -> pl.Series:
    """Field by field, several times as fast as from a dictionary per row."""
    kind = Images.create_empty().schema["image"]
    assert isinstance(kind, pl.Struct)
    return pl.DataFrame(fields, schema=kind.to_schema()).to_struct("image")


def rejected_rows(rejected: Iterable[RejectedFile]) -> pl.DataFrame:
    """Rows in the schema Rejected."""
    files = list(rejected)
    columns = {name: [getattr(file, name) for file in files] for name in ("path", "reason", "detail")}
    return pl.DataFrame(columns, schema=Rejected.create_empty().schema)
