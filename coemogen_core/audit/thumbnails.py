"""The pictures of an audit as small JPEG data URIs; originals are read part by part and never held together."""

import base64
import io
from dataclasses import dataclass, field

import polars as pl
from PIL import Image

from coemogen_core.data.decode import UnreadableImage, decode_image
from coemogen_core.data.workspace import Workspace

MAX_SIDE = 384
SMALL_SIDE = 96
"""Pictures up to this side are shown enlarged, pixel by pixel, so JPEG artefacts would be visible."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG as a data URI, with its size in pixels."""

    data_uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """What became of the wanted pictures, by image id: each is either `found` or `missing` for a reason."""

    found: dict[str, Thumbnail] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def thumbnail(data: bytes) -> Thumbnail:
    """An encoded picture as a thumbnail of at most `MAX_SIDE` pixels on the longer side; smaller ones keep their size.

    Raises:
        UnreadableImage: the bytes are no usable picture.
    """
    image = decode_image(data)
    small = max(image.size) <= SMALL_SIDE
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95 if small else 85, subsampling=0 if small else 2, optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{encoded}", image.width, image.height)


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
    """Read one part in small batches, no further than to the last wanted picture."""
    remaining = set(wanted)
    for batch in workspace.table("images", source).iter_part(part, ["image_id", "image"]):
        for image_id, image in batch.filter(pl.col("image_id").is_in(list(remaining))).iter_rows():
            remaining.discard(image_id)
            try:
                into.found[image_id] = thumbnail(image["bytes"])
                into.missing.pop(image_id, None)
            except UnreadableImage as error:
                into.missing[image_id] = str(error)
        if not remaining:
            return
