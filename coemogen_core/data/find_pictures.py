"""Single pictures of a source by their ids, whatever part they lie in: for galleries and pages, of what the source holds now."""

from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.picture_index import open_index
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.storage.workspace import Workspace

ROWS_AT_ONCE = 16  # with their pictures


def find_pictures(workspace: Workspace, source: str, image_ids: Collection[str], columns: Iterable[str] = ("image",)) -> dict[str, Any]:
    """Rows of `images/<source>` by image id; a picture that has left the source is missing.

    Parts that the index names are opened; the ids of those that it does not know yet are looked through.
    """
    parts, known = current_parts(workspace, source), set(open_index(workspace).parts)
    wanted = pl.Series(sorted(image_ids), dtype=pl.String)
    named = {part for other, part, _ in standing_places(workspace, wanted) if other == source}
    table = workspace.table("images", source)
    found: dict[str, Any] = {}
    for part in (part for part in parts if part in named or f"{source}/{part}" not in known):
        missing = set(image_ids) - found.keys()
        if not missing:
            break
        if missing.isdisjoint(table.read_part(part, ["image_id"])["image_id"]):
            continue
        for rows in table.iter_part(part, ["image_id", *columns], ROWS_AT_ONCE):
            found |= {row["image_id"]: row for row in rows.filter(pl.col("image_id").is_in(list(missing))).iter_rows(named=True)}
    return found
