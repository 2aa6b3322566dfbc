"""Rows that stand in a workspace already: what any stage has made of a picture is found again, in whatever part and source."""

from collections.abc import Callable, Iterator

import polars as pl

from coemogen_core.data.picture_index import open_index
from coemogen_core.storage.workspace import Workspace

ReadPlace = Callable[[str, str], pl.DataFrame | None]
"""Rows with `image_id` of a part, given source and part; None where the stage has no such part."""


def standing_rows(workspace: Workspace, image_ids: pl.Series, read: ReadPlace, but: tuple[str, str] | None = None) -> pl.DataFrame | None:
    """Rows of these pictures, one each, from wherever they stand; None when there is not one.

    Parts that hold many of them are opened first, and none after the last picture was found: after a change of a source that is one to
    three parts. Of several rows that of the part with most of the pictures is taken; all say the same.

    Args:
        read: reads what the stage made of a part.
        but: source and part that is not looked into.
    """
    frames, missing = [], set(image_ids)
    for source, part, pictures in standing_places(workspace, image_ids, but):
        if missing.isdisjoint(pictures):
            continue
        rows = read(source, part)
        if rows is None:
            continue
        found = rows.filter(pl.col("image_id").is_in(list(missing & set(pictures)))).unique("image_id", keep="first", maintain_order=True)
        missing -= set(found["image_id"])
        frames.append(found)
    return pl.concat(frames) if frames else None


def standing_places(workspace: Workspace, image_ids: pl.Series, but: tuple[str, str] | None = None) -> Iterator[tuple[str, str, list[str]]]:
    """Source, part, and which of these pictures stand or stood there; parts with most of them first."""
    places = open_index(workspace).places(image_ids.unique(maintain_order=True))
    if but is not None:
        places = places.filter((pl.col("source") != but[0]) | (pl.col("part") != but[1]))
    by_part = places.group_by("source", "part").agg("image_id").with_columns(pictures=pl.col("image_id").list.len())
    for source, part, pictures, _ in by_part.sort("pictures", "source", "part", descending=[True, False, False]).iter_rows():
        yield source, part, pictures
