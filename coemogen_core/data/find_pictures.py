"""Single pictures of a source by their ids, whatever part they lie in: for galleries and pages, of what the source holds now."""

from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.storage.workspace import Workspace

ROWS_AT_ONCE = 16  # with their pictures


def find_pictures(workspace: Workspace, source: str, image_ids: Collection[str], columns: Iterable[str] = ("image",)) -> dict[str, Any]:
    """Rows of `images/<source>` by image id; a picture that has left the source is missing.

    Parts that the index names are opened first; the ids of others are looked through only where a picture was not among those.
    """
    parts = current_parts(workspace, source)
    indexed = [part for other, part, _ in standing_places(workspace, pl.Series(sorted(image_ids), dtype=pl.String)) if other == source]
    table = workspace.table("images", source)
    found: dict[str, Any] = {}
    for part in dict.fromkeys([*(part for part in indexed if part in set(parts)), *parts]):
        missing = set(image_ids) - found.keys()
        if not missing:
            break
        if missing.isdisjoint(table.read_part(part, ["image_id"])["image_id"]):
            continue
        for rows in table.iter_part(part, ["image_id", *columns], ROWS_AT_ONCE):
            found |= {row["image_id"]: row for row in rows.filter(pl.col("image_id").is_in(list(missing))).iter_rows(named=True)}
    return found
