"""Plans of parts: which files each will hold, a small JSON file in the workspace, so that a worker needs only the part's name.

Beside them lies, for every part size that a source was planned with, the list of its parts (a cut). Two cuts of one source stand side by
side and share the parts that they have in common. `finished.arrow` is the cut whose parts were last ingested to the end: what readers see,
who are never shown half of a plan.
"""

import hashlib
import io
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import polars as pl
import pyarrow as pa
from pydantic import Field

from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Layout
from schemas.frozen_model import FrozenModel

FINISHED = "finished.arrow"
PLAN_FOLDER = "_plan"
"""Inside images/<source>; pyarrow and pandas pass by what starts with an underscore, for the others there is *.parquet."""


class PartPlan(FrozenModel):
    """The files of one part, in the order of the listing."""

    name: str = Field(description="part-<16 hex digits of the listing's hash, or of the files' content>")
    layout: Layout = Field(description="reader of the source")
    root: str = Field(description="folder or URI of the source; not part of the name")
    licence: str | None = Field(default=None, description="licence of every picture")
    image_column: str | None = Field(
        default=None, description="column of the pictures in a source of tables; none = found by its name or type"
    )
    listing: str = Field(description="hash of what the listing tells about the files")
    content: str | None = Field(
        default=None, description="hash of the files' content, where the listing alone cannot tell it from an earlier part's"
    )
    items: tuple[SourceItem, ...] = Field(description="pictures to read")
    rejected: tuple[RejectedFile, ...] = Field(default=(), description="entries that were found unusable while listing")

    @property
    def listed(self) -> int:
        """Number of listed entries: pictures and rejections of the finished part add up to it."""
        return len(self.items) + len(self.rejected)


class PlannedPart(NamedTuple):
    """One part in the list of a cut."""

    name: str
    listing: str  # hash of what the listing tells about its files
    content: str | None  # hash of the files' content, where the listing alone cannot tell it from an earlier part's
    state: str  # hash of the whole plan, root and modification times included


@dataclass(frozen=True, slots=True)
class Cut:
    """`_plan/cut-<part size>.arrow`: the parts of a source when it was last planned with this part size, in the order of the listing."""

    part_size: int  # listed entries in a part, at most
    planned_at: float  # seconds since 1970
    parts: pl.DataFrame  # columns of `PlannedPart`: a tenth of the memory that objects take

    @property
    def names(self) -> list[str]:
        """Names of the parts."""
        return self.parts["name"].to_list()


def part_name(listing: str, content: str | None = None) -> str:
    """Name of the part that holds these files, whoever lists them: 64 bits, two of 100,000 parts share a name once in 10^9 cases."""
    digest = hashlib.sha256(f"{listing}/{content or ''}".encode()).hexdigest()
    return f"part-{digest[:16]}"


def plan_state(plan: PartPlan) -> str:
    """Hash of all that a plan says."""
    return hashlib.sha256(plan.model_dump_json().encode()).hexdigest()[:16]


def listing_hash(entries: list[SourceItem | RejectedFile], recipe: dict[str, Any]) -> str:
    """Hash of everything about these entries that tells their content: names, sizes, content tags, labels.

    Neither the root nor modification times are in it: a copy of a source, on another machine or at another time, has the same parts.
    """
    return recipe_id("listing", {**recipe, "entries": [_identity(entry) for entry in entries]})


def read_plan(workspace: Workspace, source: str, part: str) -> PartPlan:
    """Plan of a part. Raises FileNotFoundError when the part was not planned."""
    try:
        return PartPlan.model_validate_json(workspace.read_file("images", source, PLAN_FOLDER, f"{part}.json"))
    except FileNotFoundError as error:
        place = workspace.path("images", source, PLAN_FOLDER)
        raise FileNotFoundError(f"no plan of part {part} in {place}: plan the source {source!r} first") from error


def write_plan(workspace: Workspace, source: str, plan: PartPlan) -> None:
    """Write the plan of a part, whole or not at all."""
    workspace.write_file(plan.model_dump_json().encode(), "images", source, PLAN_FOLDER, f"{plan.name}.json")


def read_cuts(workspace: Workspace, source: str) -> dict[int, Cut]:
    """Every cut of a source, by part size; none when it was never planned."""
    names = workspace.list_files("images", source, PLAN_FOLDER)
    sizes = [int(found[1]) for name in names if (found := re.fullmatch(r"cut-(\d+)\.arrow", name))]
    return {size: cut for size in sizes if (cut := read_cut(workspace, source, size)) is not None}


def read_cut(workspace: Workspace, source: str, part_size: int) -> Cut | None:
    """The cut of one part size; None when the source was not planned with it."""
    return _read(workspace, source, f"cut-{part_size}.arrow")


def read_finished(workspace: Workspace, source: str) -> Cut | None:
    """The cut whose parts were last ingested to the end; None when none ever was."""
    return _read(workspace, source, FINISHED)


def mark_finished(workspace: Workspace, source: str, part_size: int) -> None:
    """All parts of a cut are there: they are what the source holds from now on."""
    workspace.write_file(
        workspace.read_file("images", source, PLAN_FOLDER, f"cut-{part_size}.arrow"), "images", source, PLAN_FOLDER, FINISHED
    )


def _read(workspace: Workspace, source: str, name: str) -> Cut | None:
    try:
        table = pa.ipc.open_file(workspace.read_file("images", source, PLAN_FOLDER, name)).read_all()
    except FileNotFoundError:
        return None
    told = table.schema.metadata
    return Cut(int(told[b"part_size"]), float(told[b"planned_at"]), cast(pl.DataFrame, pl.from_arrow(table)))


def write_cut(workspace: Workspace, source: str, part_size: int, parts: Sequence[PlannedPart]) -> None:
    """Keep a cut."""
    told = {"part_size": str(part_size), "planned_at": str(time.time())}
    schema = pa.schema([(name, pa.string()) for name in PlannedPart._fields], metadata=told)
    columns = [pa.array([part[index] for part in parts], pa.string()) for index in range(len(schema))]
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, schema) as writer:
        writer.write_table(pa.table(columns, schema=schema))
    workspace.write_file(buffer.getvalue(), "images", source, PLAN_FOLDER, f"cut-{part_size}.arrow")


def remove_cut(workspace: Workspace, source: str, part_size: int) -> None:
    """Forget a cut. Its parts stay until `finish_source` removes those that no other cut has."""
    workspace.remove_file("images", source, PLAN_FOLDER, f"cut-{part_size}.arrow")


def current_parts(workspace: Workspace, source: str) -> list[str]:
    """The parts that hold what a source held when it was last ingested to the end, sorted; where that was never, all that are there."""
    finished = read_finished(workspace, source)
    return workspace.table("images", source).parts() if finished is None else sorted(finished.names)


def planned_parts(workspace: Workspace, source: str) -> list[str]:
    """Names of all parts that have a plan, in whatever cut, sorted."""
    names = workspace.list_files("images", source, PLAN_FOLDER)
    return sorted(name.removesuffix(".json") for name in names if name.startswith("part-"))


def remove_plan(workspace: Workspace, source: str, part: str) -> None:
    """Remove the plan of a part."""
    workspace.remove_file("images", source, PLAN_FOLDER, f"{part}.json")


def _identity(entry: SourceItem | RejectedFile) -> list[Any]:
    if isinstance(entry, RejectedFile):
        return [entry.path, entry.reason]
    said = [entry.label, entry.split, entry.artist, entry.style, entry.genre, entry.licence, entry.attributes, entry.annotation]
    said += [entry.label_left_out] if entry.label_left_out else []
    inside: list[Any] = []
    if entry.place is not None:
        beside = [[extent.name, extent.start, extent.size] for extent in entry.place.beside]
        inside = [entry.place.container, entry.place.start, *_content(entry.place.stamp), beside]
    return [entry.path, *_content(entry.stamp), *said, *_content(entry.annotation_stamp), *inside]


def _content(stamp: FileStamp | None) -> list[Any]:
    return [stamp.size, stamp.tag] if stamp is not None else [None, None]
