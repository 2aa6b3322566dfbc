"""Ingestion of one planned part: every picture is fetched, joined with its annotation, decoded and hashed, or rejected with a reason.

What is accepted becomes one part of `images`, what is rejected one of `rejected`.
"""

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

import polars as pl

from coemogen_core.data.decode import UnreadableImage, decode_image
from coemogen_core.data.part_plan import PartPlan, read_plan
from coemogen_core.data.picture_index import PictureIndex, open_index, pictures_table
from coemogen_core.data.readers.reader import LoadItem, SourceReader
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem, printable
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import ROWS_PER_GROUP, Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Images, Pictures, Rejected

LABEL_LEFT_OUT = "label left out"
"""Reason of a row of `rejected` whose picture was accepted: as one without a label."""
LOCAL_THREADS = (os.cpu_count() or 1) + 1  # decoding releases the interpreter lock, so each core is busy; more only switch
REMOTE_THREADS = max(16, LOCAL_THREADS)  # hide the time that a store takes to answer
AHEAD = 4  # pictures per thread that may wait for their turn

logger = logging.getLogger(__name__)


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
    """Rows of one part: `images` in the schema Images, `rejected` in the schema Rejected."""

    images: pl.DataFrame
    rejected: pl.DataFrame

    def content(self) -> str:
        """Hash of what the files hold, pictures and annotations."""
        return recipe_id("content", {"images": self.images.drop("image").rows(), "rejected": self.rejected.drop("detail").rows()})


def ingest_part(workspace: Workspace, source: str, part: str) -> PartOutcome:
    """Read, check and write one part; nothing is done where it exists already.

    Every listed entry ends as one row, of `images/<source>` or of `rejected/<source>`; a picture whose label is none of the eight emotions
    stands in both. Pictures are written while others are decoded, a row group at a time, and appear after the rejected rows and the list of
    pictures: the part of `images` means done. A picture that was decoded before, in whatever part and source, is not decoded again.

    Raises:
        FileNotFoundError: the part was not planned.
        OSError: a remote store failed; trying again may help.
    """
    started = time.perf_counter()
    images, rejected = workspace.table("images", source), workspace.table("rejected", source)
    reused = images.has_part(part)
    if reused:
        reasons = rejected.read_part(part, ["reason"])["reason"]
        rows = images.count([part])
    else:
        plan = read_plan(workspace, source, part)
        listed: list[pl.DataFrame] = []

        def write_both(rows: pl.DataFrame) -> None:
            listed.append(rows.select(Pictures.column_names()))
            write(rows)

        with images.part_writer(part, Images) as write:
            unusable = _write_pictures(plan, write_both, open_index(workspace))
            refused = _rejected_rows(unusable)
            rejected.write_part(part, refused, Rejected)
            pictures_table(workspace, source).write_part(part, pl.concat([Pictures.create_empty(), *listed]), Pictures)
        reasons, rows = refused["reason"], sum(some.height for some in listed)
    dropped = int((reasons != LABEL_LEFT_OUT).sum())
    outcome = PartOutcome(part=part, rows=rows, dropped=dropped, reused=reused, seconds=time.perf_counter() - started)
    if not reused:
        logger.info("%s/%s: %d pictures, %d rejected, %.1f s", source, part, rows, dropped, outcome.seconds)
    return outcome


def examine_part(plan: PartPlan, known: PictureIndex) -> ExaminedPart:
    """Read and check all files of a part; holds the bytes of one part in memory. Pictures that are known are not decoded.

    Raises:
        OSError: a remote store failed; trying again may help.
    """
    examined = list(_examine(plan, known))
    accepted = [outcome for outcome in examined if isinstance(outcome, AcceptedImage)]
    unusable = [row for each in examined for row in ([each] if isinstance(each, RejectedFile) else _label_left_out(each))]
    return ExaminedPart(_image_rows(accepted), _rejected_rows(unusable))


def most_frequent_rejections(workspace: Workspace, source: str, parts: Sequence[str], at_most: int = 3) -> str:
    """The reasons that reject most of a source's entries, e.g. "12 truncated (a/b.jpg: ...), 1 empty file (...)", most frequent first."""
    rows = workspace.table("rejected", source).read(parts=list(parts))
    counts = rows.group_by("reason").agg(pl.len(), pl.first("path", "detail")).sort("len", "reason", descending=[True, False])
    reasons = counts.head(at_most).iter_rows(named=True)
    told = (row | {"detail": row["detail"].removeprefix(f"{row['path']}: ")} for row in reasons)
    return ", ".join(f"{row['len']:,} {row['reason']} ({row['path']}: {row['detail']})" for row in told)


def _write_pictures(plan: PartPlan, write: Callable[[pl.DataFrame], None], known: PictureIndex) -> list[RejectedFile]:
    """Write the accepted pictures, at most two row groups in memory; what is not accepted comes back, and labels that are left out."""
    accepted: list[AcceptedImage] = []
    unusable: list[RejectedFile] = []
    written: Future[None] | None = None
    with ThreadPoolExecutor(1) as thread:
        for outcome in _examine(plan, known):
            if isinstance(outcome, RejectedFile):
                unusable.append(outcome)
                continue
            unusable += _label_left_out(outcome)
            accepted.append(outcome)
            if len(accepted) == ROWS_PER_GROUP:
                if written is not None:
                    written.result()
                written = thread.submit(write, _image_rows(accepted))
                accepted = []
        if written is not None:
            written.result()
    if accepted:
        write(_image_rows(accepted))
    return unusable


def _label_left_out(accepted: AcceptedImage) -> list[RejectedFile]:
    said = accepted.item.label_left_out
    return [RejectedFile(accepted.item.path, LABEL_LEFT_OUT, printable(said))] if said is not None else []


def _examine(plan: PartPlan, known: PictureIndex) -> Iterator[AcceptedImage | RejectedFile]:
    """What becomes of every entry of a part: first those that were rejected while listing, then all items in their order."""
    yield from plan.rejected
    reader = open_reader(plan.layout, plan.root, plan.licence, plan.image_column)
    workers = LOCAL_THREADS if reader.folder.is_local else REMOTE_THREADS
    with ThreadPoolExecutor(workers) as threads:
        yield from _without_duplicates(_examined(threads, AHEAD * workers, reader, plan.items, known))


def _examined(
    threads: ThreadPoolExecutor, ahead: int, reader: SourceReader, items: Sequence[SourceItem], known: PictureIndex
) -> Iterator[AcceptedImage | RejectedFile]:
    """In the order of the items; a reader that reads ahead is never more than a few pictures ahead."""
    running: deque[Future[AcceptedImage | RejectedFile]] = deque()
    for item, load in zip(items, reader.load_items(items), strict=True):
        running.append(threads.submit(_examine_item, item, load, known))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _examine_item(item: SourceItem, load: LoadItem, known: PictureIndex) -> AcceptedImage | RejectedFile:
    """Read and join one picture, and decode it unless it is known."""
    try:
        joined, data = load()
        image_id = hashlib.sha256(data).hexdigest()
        size = known.size(image_id)
        width, height = decode_image(data).size if size is None else size
    except (UnusableItem, UnreadableImage) as error:
        return RejectedFile(item.path, error.reason, printable(error.detail))
    return AcceptedImage(joined, image_id, data, width, height)


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


def _image_rows(accepted: Sequence[AcceptedImage]) -> pl.DataFrame:
    """Rows in the schema Images."""
    schema = Images.create_empty().schema
    pictures = {"bytes": [image.data for image in accepted], "path": [image.item.path for image in accepted]}
    columns: dict[str, Any] = {
        "image_id": [image.image_id for image in accepted],
        # field by field, several times as fast as from a dictionary per row
        "image": pl.DataFrame(pictures, schema=cast(pl.Struct, schema["image"]).to_schema()).to_struct("image"),
        "width": [image.width for image in accepted],
        "height": [image.height for image in accepted],
    }
    said = ("label", "split", "artist", "style", "genre", "licence", "attributes")
    columns |= {name: [getattr(image.item, name) for image in accepted] for name in said}
    return pl.DataFrame(columns, schema=schema)


def _rejected_rows(rejected: Iterable[RejectedFile]) -> pl.DataFrame:
    """Rows in the schema Rejected; what is wrong with one entry in several ways is one row, under the first of its reasons."""
    by_path: dict[str, RejectedFile] = {}
    for each in rejected:
        known = by_path.get(each.path)
        by_path[each.path] = each if known is None else replace(known, detail=f"{known.detail}; {each.reason}: {each.detail}")
    files = list(by_path.values())
    columns = {name: [getattr(file, name) for file in files] for name in ("path", "reason", "detail")}
    return pl.DataFrame(columns, schema=Rejected.create_empty().schema)
