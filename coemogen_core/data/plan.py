"""Planning of a source: its listing is cut into parts before any picture is read.

A part's name hashes its listing (paths, sizes, content tags, labels) and the reader's and decoder's versions, and nothing of its position:
what changes in a source gives other parts where it changes, and a copy of a source, wherever and whenever made, gives the same. A local
disk has no content tags, so a file rewritten with other content of the same size looks the same. A name must never stand for two contents,
because what was derived from a part stays when the part goes. So where a part of that name was ingested before, in whatever plan, and its
files are not known to be as they were (the modification times of the plan), the part is read again at once: if its content differs, it gets
a name of its own.

Each part size has a plan of its own. Parts that stand in no plan are removed from `images` and `rejected` by `finish_source`, once their
successors are there; tables derived from them stay, and their rows are found again (`data.standing_rows`).
"""

import logging
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from coemogen_core.data.decode import DECODER_VERSION
from coemogen_core.data.ingest import ExaminedPart, examine_part
from coemogen_core.data.part_cuts import Entry, cut_into_parts
from coemogen_core.data.part_plan import (
    PartPlan,
    PlannedPart,
    listing_hash,
    mark_finished,
    part_name,
    plan_state,
    planned_parts,
    read_cut,
    read_cuts,
    read_plan,
    remove_plan,
    write_cut,
    write_plan,
)
from coemogen_core.data.picture_index import open_index, pictures_table
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem
from coemogen_core.storage.names import SOURCE_NAME
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Layout

DEFAULT_PART_SIZE = 1000

logger = logging.getLogger(__name__)


def plan_source(
    workspace: Workspace,
    source: str,
    layout: Layout,
    root: str,
    licence: str | None = None,
    part_size: int = DEFAULT_PART_SIZE,
    image_column: str | None = None,
) -> list[str]:
    """List a source, cut it into parts, and write their plans; see `open_reader` for how it is read. What stands is left as it is.

    In memory are one part and, of all others, what `PlannedPart` holds (0.4 kB each). A part whose plan is as before costs no request,
    any other at most three, unless its files were touched or it comes back after it was gone.

    Args:
        source: name of the source in the workspace: letters, digits, dot, underscore, hyphen.
        part_size: listed entries in a part at most, at least 1.

    Returns:
        Names of the parts, in the order of the listing.

    Raises:
        FileNotFoundError, NotADirectoryError: the root does not exist or is not what the layout needs.
        ValueError: a bad name or size, an empty source, or an unreadable list file.
    """
    if not re.fullmatch(SOURCE_NAME, source):
        raise ValueError(f"source name {source!r} cannot name a folder: use small letters, digits, '_' and '-', a letter first")
    if part_size < 1:
        raise ValueError(f"part_size is {part_size}: a part holds at least one picture")
    reader = open_reader(layout, root, licence, image_column)
    recipe = {"layout": layout, "reader": reader.version, "decoder": DECODER_VERSION} | ({"column": image_column} if image_column else {})
    shared: dict[str, Any] = {"layout": layout, "root": reader.folder.lasting_root, "licence": licence, "image_column": image_column}
    earlier = read_cut(workspace, source, part_size)
    known = {} if earlier is None else {part.listing: part for part in map(PlannedPart._make, earlier.parts.iter_rows())}
    planned: list[PlannedPart] = []
    listed = 0
    try:
        for entries in cut_into_parts(reader.list_items(), part_size):
            plan = _plan_of(entries, recipe, shared)
            planned.append(_written(workspace, source, plan, known.get(plan.listing)))
            listed += plan.listed
    except BaseException:
        _remove_plans(workspace, source, {part.name for part in planned} - _planned_by_cuts(workspace, source))
        raise  # of a listing that did not come to its end
    write_cut(workspace, source, part_size, planned)
    logger.info("%s: %d pictures listed in %d parts", source, listed, len(planned))
    return [part.name for part in planned]


def finish_source(workspace: Workspace, source: str, part_size: int = DEFAULT_PART_SIZE, in_use: Collection[str] = ()) -> list[str]:
    """Say that all parts of a plan are ingested, and remove the parts of `images` and `rejected` that stand in no plan, of whatever size.

    At no time a picture that the source holds is missing.

    Args:
        in_use: names of parts that stay, because a current version of a dataset names them.

    Returns:
        Names of the parts that were removed.
    """
    mark_finished(workspace, source, part_size)
    return retire_parts(workspace, source, in_use)


def retire_parts(workspace: Workspace, source: str, in_use: Collection[str] = ()) -> list[str]:
    """Remove the parts of `images` and `rejected` that stand in no plan and are not in use; returns their names."""
    current = _planned_by_cuts(workspace, source) | set(in_use)
    retired = set(planned_parts(workspace, source)) - current
    for table in (workspace.table("images", source), workspace.table("rejected", source)):
        stale = [part for part in table.parts() if part not in current]
        for part in stale:
            table.remove_part(part)
        retired |= set(stale)
    _remove_plans(workspace, source, retired)
    if retired:
        logger.info("%s: removed %d parts that are in no current plan", source, len(retired))
    return sorted(retired)


def _plan_of(entries: list[Entry], recipe: dict[str, Any], shared: dict[str, Any]) -> PartPlan:
    listing = listing_hash(entries, recipe)
    items = tuple(entry for entry in entries if isinstance(entry, SourceItem))
    rejected = tuple(entry for entry in entries if isinstance(entry, RejectedFile))
    return PartPlan(name=part_name(listing), listing=listing, items=items, rejected=rejected, **shared)


def _written(workspace: Workspace, source: str, plan: PartPlan, earlier: PlannedPart | None) -> PlannedPart:
    """The plan as it stands in the workspace from now on; it is written where it says anything new."""
    plan = plan if earlier is None else _named(plan, earlier.content)
    if earlier is not None and plan_state(plan) == earlier.state:
        return earlier
    plan = _told_apart(workspace, source, plan)
    write_plan(workspace, source, plan)
    return PlannedPart(plan.name, plan.listing, plan.content, plan_state(plan))


def _told_apart(workspace: Workspace, source: str, plan: PartPlan) -> PartPlan:
    """The plan, under another name if a part of its name was ingested before whose files had other content."""
    pictures = pictures_table(workspace, source)
    if not pictures.has_part(plan.name):
        return plan
    with suppress(FileNotFoundError):
        if _modified(plan) == _modified(read_plan(workspace, source, plan.name)):
            return plan
    examined = examine_part(plan, open_index(workspace))
    if workspace.table("images", source).has_part(plan.name):
        images, rejected = (workspace.table(name, source).read_part(plan.name) for name in ("images", "rejected"))
        is_same = examined.content() == ExaminedPart(images, rejected).content()
    else:  # of a part that is gone, its pictures are known, which is all that derived tables hold
        is_same = set(examined.images["image_id"]) == set(pictures.read_part(plan.name, ["image_id"])["image_id"])
    if is_same:
        return plan
    logger.info("%s: content of %s has changed, its sizes have not", source, plan.name)
    return _named(plan, examined.content())


def _named(plan: PartPlan, content: str | None) -> PartPlan:
    return plan.model_copy(update={"content": content, "name": part_name(plan.listing, content)})


def _modified(plan: PartPlan) -> list[tuple[float | None, float | None]]:
    return [(item.stamp.modified, item.annotation_stamp.modified if item.annotation_stamp else None) for item in plan.items]


def _planned_by_cuts(workspace: Workspace, source: str) -> set[str]:
    return {name for cut in read_cuts(workspace, source).values() for name in cut.names}


def _remove_plans(workspace: Workspace, source: str, parts: set[str]) -> None:
    for part in sorted(parts):
        remove_plan(workspace, source, part)
