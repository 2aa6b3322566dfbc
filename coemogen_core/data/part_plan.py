"""The plan of one part: which files it will hold. A small JSON file in the workspace, so that a worker needs only its name."""

from typing import Any

from pydantic import Field

from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Layout
from schemas.frozen_model import FrozenModel

PLAN_FOLDER = "_plan"
"""Inside images/<source>; pyarrow and pandas pass by what starts with an underscore, for the others there is *.parquet."""


class PartPlan(FrozenModel):
    """The files of one part, in the order of the listing."""

    name: str = Field(description="part-<five digits>-<8 hex digits of the listing's hash>")
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


def part_name(index: int, listing: str, content: str | None = None) -> str:
    """Name of the part at this position of the plan."""
    digest = listing if content is None else recipe_id("part", {"listing": listing, "content": content})
    return f"part-{index:05d}-{digest.rsplit('-', 1)[-1][:8]}"


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


def planned_parts(workspace: Workspace, source: str) -> list[str]:
    """Names of the planned parts, in order."""
    names = workspace.list_files("images", source, PLAN_FOLDER)
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


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
