"""The pictures of an audit as thumbnails; originals are read part by part and never held together."""

from dataclasses import dataclass, field

import polars as pl

from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.thumbnail import Thumbnail, thumbnail
from coemogen_core.data.workspace import Workspace

MAX_SIDE = 384


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """What became of the wanted pictures, by image id: each is either `found` or `missing` for a reason."""

    found: dict[str, Thumbnail] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def read_thumbnails(workspace: Workspace, source: str, wanted: pl.DataFrame) -> Thumbnails:
    """Thumbnails of the pictures of a source.

    Args:
        workspace: holds `images/<source>`.
        source: name of the source.
        wanted: columns `image_id` and `part`, the image part in which the picture lies.

    Raises:
        FileNotFoundError: the source has no image parts at all.
    """
    table = workspace.table("images", source)
    parts = set(table.parts())
    if not parts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    thumbnails = Thumbnails()
    for (part,), rows in wanted.group_by("part", maintain_order=True):
        unread = set(rows["image_id"]) - thumbnails.found.keys()
        thumbnails.missing.update(dict.fromkeys(unread, f"not in part {part} of {table.uri}"))
        if part in parts:
            _read_part(workspace, source, str(part), unread, thumbnails)
    return thumbnails


def _read_part(workspace: Workspace, source: str, part: str, wanted: set[str], into: Thumbnails) -> None:
    """Read one part a few pictures at a time, no further than to the last wanted one."""
    remaining = set(wanted)
    for image_id, data in workspace.table("images", source).iter_pictures(part, wanted):
        remaining.discard(image_id)
        try:
            into.found[image_id] = thumbnail(data, MAX_SIDE)
            into.missing.pop(image_id, None)
        except UnreadableImage as error:
            into.missing[image_id] = str(error)
        if not remaining:
            return
