"""Ingestion of one planned part: its files become one part of `images` and one of `rejected`."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl

from coemogen_core.data.examine import AcceptedImage, examine, image_rows, rejected_rows
from coemogen_core.data.part_plan import PartPlan, read_plan
from coemogen_core.data.source_item import RejectedFile
from coemogen_core.storage.workspace import ROWS_PER_GROUP, Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Images, Rejected


def most_frequent_rejections(workspace: Workspace, source: str, parts: Sequence[str], at_most: int = 3) -> str:
    """The reasons that reject most of a source's entries, e.g. "12 truncated (a/b.jpg: ...), 1 empty file (...)", most frequent first."""
    rows = workspace.table("rejected", source).read(parts=list(parts))
    reasons = (
        rows.group_by("reason").agg(pl.len(), pl.first("path", "detail")).sort("len", "reason", descending=[True, False]).head(at_most)
    )
    return ", ".join(f"{row['len']:,} {row['reason']} ({row['path']}: {row['detail']})" for row in reasons.iter_rows(named=True))


logger = logging.getLogger(__name__)


def ingest_part(workspace: Workspace, source: str, part: str) -> PartOutcome:
    """Read, check and write one part; nothing is done where it exists already.

    Every listed entry ends as one row, of `images/<source>` or of `rejected/<source>`. Pictures are written while others are decoded, a
    row group at a time, and appear after the rejected rows: the part of `images` means done.

    Raises:
        FileNotFoundError: the part was not planned.
        OSError: a remote store failed; trying again may help.
    """
    started = time.perf_counter()
    images, rejected = workspace.table("images", source), workspace.table("rejected", source)
    if images.has_part(part):
        return PartOutcome(part=part, rows=images.count([part]), dropped=rejected.count([part]), reused=True, seconds=_since(started))
    plan = read_plan(workspace, source, part)
    with images.part_writer(part, Images) as write:
        unusable = _write_pictures(plan, write)
        rejected.write_part(part, rejected_rows(unusable), Rejected)
    rows = plan.listed - len(unusable)
    outcome = PartOutcome(part=part, rows=rows, dropped=len(unusable), seconds=_since(started))
    logger.info("%s/%s: %d pictures, %d rejected, %.1f s", source, part, outcome.rows, outcome.dropped, outcome.seconds)
    return outcome


def _write_pictures(plan: PartPlan, write: Callable[[pl.DataFrame], None]) -> list[RejectedFile]:
    """Write the accepted pictures, at most two row groups in memory; what is not accepted comes back."""
    accepted: list[AcceptedImage] = []
    unusable: list[RejectedFile] = []
    written: Future[None] | None = None
    with ThreadPoolExecutor(1) as thread:
        for outcome in examine(plan):
            if isinstance(outcome, RejectedFile):
                unusable.append(outcome)
                continue
            accepted.append(outcome)
            if len(accepted) == ROWS_PER_GROUP:
                if written is not None:
                    written.result()
                written = thread.submit(write, image_rows(accepted))
                accepted = []
        if written is not None:
            written.result()
    if accepted:
        write(image_rows(accepted))
    return unusable


def _since(started: float) -> float:
    return time.perf_counter() - started
