"""Attempts follow their picture: a part takes over what was asked about its pictures in other parts and sources, before anything is asked.

So a picture that was captioned once is not paid for again when its part is cut otherwise, its folder renamed, or another source holds it.
The rows are copies, with the time at which they were asked.
"""

import polars as pl

from coemogen_core.captioning.attempts import (
    ATTEMPT_KEY,
    FOLDER,
    ROWS_PER_FILE,
    chunk_name,
    chunk_names,
    free_sequences,
    read_attempts,
)
from coemogen_core.captioning.journal import part_lock
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions


def carry_attempts(workspace: Workspace, source: str, part: str, image_ids: pl.Series) -> int:
    """Write the attempts of a part's pictures, of every recipe, that stand elsewhere and not here yet; returns their number.

    Looks into every part that the index names for these pictures: to be called where something is due, not where all is done.

    Args:
        image_ids: the pictures of the part.
    """
    places = list(standing_places(workspace, image_ids, but=(source, part)))
    if not places:
        return 0
    with part_lock(workspace.table("captions", source).uri, part, "carried"):
        known = read_attempts(workspace, source, part, None, list(ATTEMPT_KEY))
        carried: list[pl.DataFrame] = [Captions.create_empty()]
        for other, standing, pictures in places:
            rows = read_attempts(workspace, other, standing, None).filter(pl.col("image_id").is_in(pictures))
            new = rows.join(known, on=ATTEMPT_KEY, how="anti", maintain_order="left").unique(ATTEMPT_KEY, keep="last", maintain_order=True)
            known = pl.concat([known, new.select(ATTEMPT_KEY)])
            carried.append(new)
            _copy_records(workspace, other, source, set(new["recipe_id"]))
        attempts = pl.concat(carried).sort(ATTEMPT_KEY)
        for (recipe_id,), rows in attempts.group_by("recipe_id", maintain_order=True):
            _write(workspace, source, part, str(recipe_id), rows)
    return attempts.height


def _write(workspace: Workspace, source: str, part: str, recipe_id: str, rows: pl.DataFrame) -> None:
    table = workspace.table("captions", source)
    numbers = free_sequences(chunk_names(workspace, source, part, recipe_id))
    for chunk in rows.iter_slices(ROWS_PER_FILE):
        table.write_part(chunk_name(part, recipe_id, next(numbers)), chunk, Captions)


def _copy_records(workspace: Workspace, source: str, target: str, recipe_ids: set[str]) -> None:
    """What the recipe ids stand for, in words."""
    if source == target:
        return
    for name in (f"{recipe_id}.json" for recipe_id in sorted(recipe_ids)):
        if workspace.exists(FOLDER, source, name) and not workspace.exists(FOLDER, target, name):
            workspace.write_file(workspace.read_file(FOLDER, source, name), FOLDER, target, name)
