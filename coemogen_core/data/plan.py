"""Planning of a source: its listing is cut into parts before any picture is read.

A part's name carries a hash of its listing (paths, sizes, content tags, labels) and of the reader's and decoder's versions: what
changes in a source gives other parts, and a copy of a source, wherever and whenever made, gives the same. A local disk has no content
tags, so a file rewritten with other content of the same size looks the same; such a file has another modification time than in the
earlier plan, and then the part is read again at once: if its content differs, it gets a name of its own.

Parts that stand in no current plan are removed from `images` and `rejected` (tables derived from them stay, and are found by the
names of current parts only), so whoever reads a source sees what the source holds now.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any

from coemogen_core.data.decode import DECODER_VERSION
from coemogen_core.data.ingest import ExaminedPart, examine_part
from coemogen_core.data.part_plan import PartPlan, listing_hash, part_name, planned_parts, read_plan, remove_plan, write_plan
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem
from coemogen_core.storage.names import SOURCE_NAME
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Layout

DEFAULT_PART_SIZE = 1000
MAX_PART_BYTES = 256 * 2**20  # a part of large scans is cut earlier, so that memory stays bounded

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
    """List a source, cut it into parts, write their plans and retire the parts of earlier plans; see `open_reader` for how it is read.

    Args:
        source: name of the source in the workspace: letters, digits, dot, underscore, hyphen.
        part_size: listed entries in a part, at least 1.

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
    earlier = {read_plan(workspace, source, name).listing: name for name in planned_parts(workspace, source)}
    names: list[str] = []
    listed = 0
    try:
        for index, entries in enumerate(_cut(reader.list_items(), part_size)):
            listing = listing_hash(entries, recipe)
            items = tuple(entry for entry in entries if isinstance(entry, SourceItem))
            rejected = tuple(entry for entry in entries if isinstance(entry, RejectedFile))
            plan = PartPlan(name=part_name(index, listing), listing=listing, items=items, rejected=rejected, **shared)
            same = earlier.get(plan.listing)
            plan = _told_apart(workspace, source, plan, index, read_plan(workspace, source, same) if same is not None else None)
            write_plan(workspace, source, plan)
            names.append(plan.name)
            listed += plan.listed
    except BaseException:
        for name in set(names) - set(earlier.values()):  # of a listing that did not come to its end
            remove_plan(workspace, source, name)
        raise
    _retire_all_but(workspace, source, set(names))
    logger.info("%s: %d pictures listed in %d parts", source, listed, len(names))
    return names


def _cut(listed: Iterable[SourceItem | RejectedFile], part_size: int) -> Iterator[list[SourceItem | RejectedFile]]:
    """Consecutive runs of at most `part_size` entries and, unless a single file is larger, `MAX_PART_BYTES`; one at a time in memory."""
    part: list[SourceItem | RejectedFile] = []
    room_bytes = MAX_PART_BYTES
    for entry in listed:
        size = (entry.stamp.size or 0) if isinstance(entry, SourceItem) else 0
        if part and (len(part) == part_size or size > room_bytes):
            yield part
            part, room_bytes = [], MAX_PART_BYTES
        part.append(entry)
        room_bytes -= size
    if part:
        yield part


def _told_apart(workspace: Workspace, source: str, plan: PartPlan, index: int, earlier: PartPlan | None) -> PartPlan:
    """The plan, under another name if its files were changed since an earlier plan without a trace in the listing."""
    if earlier is None:
        return plan
    content = earlier.content
    if _modified(plan) != _modified(earlier) and workspace.table("images", source).has_part(earlier.name):
        examined = examine_part(plan)
        images = workspace.table("images", source).read_part(earlier.name)
        ingested = ExaminedPart(images, workspace.table("rejected", source).read_part(earlier.name))
        if examined.content() != ingested.content():
            content = examined.content()
            logger.info("%s: content of %s has changed, its sizes have not", source, earlier.name)
    return plan.model_copy(update={"content": content, "name": part_name(index, plan.listing, content)})


def _modified(plan: PartPlan) -> list[tuple[float | None, float | None]]:
    return [(item.stamp.modified, item.annotation_stamp.modified if item.annotation_stamp else None) for item in plan.items]


def _retire_all_but(workspace: Workspace, source: str, current: set[str]) -> None:
    images, rejected = workspace.table("images", source), workspace.table("rejected", source)
    for table in (images, rejected):
        stale = [part for part in table.parts() if part not in current]
        for part in stale:
            table.remove_part(part)
        if stale:
            logger.info("%s: removed %d parts that are in no current plan: %s", table.uri, len(stale), ", ".join(stale))
    for part in planned_parts(workspace, source):
        if part not in current:
            remove_plan(workspace, source, part)
