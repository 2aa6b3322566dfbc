"""Ingestion of one planned part: its files become one part of `images` and one of `rejected`."""

import logging
import time

from coemogen_core.data.examine import examine_part
from coemogen_core.data.part_plan import read_plan
from coemogen_core.data.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Images, Rejected

logger = logging.getLogger(__name__)


def ingest_part(workspace: Workspace, source: str, part: str) -> PartOutcome:
    """Read, check and write one part; nothing is done where it exists already.

    Every listed entry ends as one row, of `images/<source>` or of `rejected/<source>`. Rejected rows are written first: the part of
    `images` means done.

    Raises:
        FileNotFoundError: the part was not planned.
        OSError: a remote store failed; trying again may help.
    """
    started = time.perf_counter()
    images, rejected = workspace.table("images", source), workspace.table("rejected", source)
    if images.has_part(part):
        return PartOutcome(part=part, rows=images.count([part]), dropped=rejected.count([part]), reused=True, seconds=_since(started))
    examined = examine_part(read_plan(workspace, source, part))
    rejected.write_part(part, examined.rejected, Rejected)
    images.write_part(part, examined.images, Images)
    outcome = PartOutcome(part=part, rows=examined.images.height, dropped=examined.rejected.height, seconds=_since(started))
    logger.info("%s/%s: %d pictures, %d rejected, %.1f s", source, part, outcome.rows, outcome.dropped, outcome.seconds)
    return outcome


def _since(started: float) -> float:
    return time.perf_counter() - started
