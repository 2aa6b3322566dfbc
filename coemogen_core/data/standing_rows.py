"""Rows that stand in a workspace already: what any stage has made of a picture is found again, in whatever part and source."""

from collections.abc import Callable, Iterator

import polars as pl

from coemogen_core.data.picture_index import open_index
from coemogen_core.storage.workspace import Workspace

FRUITLESS = 8
"""So many places in a row that have not one of the rows, and the rest is not looked into: a picture that a stage never dealt with stands in
ever more parts as its source changes."""
ReadPlace = Callable[[str, str], pl.DataFrame | None]
"""Rows with `image_id` of a part, given source and part; None where the stage has no such part."""


def standing_rows(workspace: Workspace, wanted: pl.DataFrame, read: ReadPlace, but: tuple[str, str] | None = None) -> pl.DataFrame | None:
    """The wanted rows from wherever they stand, each once; None when there is not one.

    Parts that hold many of the pictures are opened first, and none after the last row was found: after a change of a source that is one to
    three parts. A stage that has none of them costs a look into `FRUITLESS` places at most. Where a row stands in several, that of the part
    with most of the pictures is taken; all say the same.

    Args:
        wanted: what names the rows: `image_id`, and whatever else.
        read: reads what the stage made of a part.
        but: source and part that is not looked into.
    """
    key, frames, missing, fruitless = wanted.columns, [], wanted, 0
    for source, part, pictures in standing_places(workspace, wanted["image_id"], but):
        if not missing["image_id"].is_in(pictures).any():
            continue
        if fruitless == FRUITLESS:
            break
        rows = read(source, part)
        found = None if rows is None else rows.join(missing, on=key, how="semi", maintain_order="left")
        fruitless += 1
        if found is not None and not found.is_empty():
            found, fruitless = found.unique(key, keep="first", maintain_order=True), 0
            missing = missing.join(found, on=key, how="anti", maintain_order="left")
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
