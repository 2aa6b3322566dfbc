"""Attempts follow their picture: a part takes over what was asked about its pictures in other parts and sources, before anything is asked.

So a picture that was captioned once is not paid for again when its part is cut otherwise, its folder renamed, or another source holds it.
The rows are copies, with the time at which they were asked. A number that another attempt of the picture has here gives way to the next
free one; the source's own attempts come first and keep theirs.
"""

import polars as pl

from coemogen_core.captioning.added_attempts import NUMBERED, WRITING, add_chunk, not_standing
from coemogen_core.captioning.attempts import ATTEMPT_KEY, FOLDER, ROWS_PER_FILE, chunk_names, free_sequences, read_attempts
from coemogen_core.captioning.journal import part_lock
from coemogen_core.captioning.places_of_attempts import places_of_attempts
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions


def carry_attempts(workspace: Workspace, source: str, part: str, image_ids: pl.Series, recipe_id: str, due: pl.DataFrame) -> int:
    """Write the attempts of a part's pictures, of every recipe, that stand elsewhere and not here yet; returns their number.

    To be called where something is due, not where all is done; see `places_of_attempts` for where it looks.

    Args:
        image_ids: the pictures of the part.
        recipe_id: recipe that is about to ask.
        due: `image_id, emotion_prior` of those that it would ask for.
    """
    places = list(standing_places(workspace, image_ids, but=(source, part)))
    if not places:
        return 0
    with part_lock(workspace.table("captions", source).uri, part, WRITING):
        known = read_attempts(workspace, source, part, None, NUMBERED)
        carried: list[pl.DataFrame] = [Captions.create_empty()]
        missing = set(due.select("image_id", "emotion_prior").iter_rows()) - _asked(known, recipe_id)
        for other, standing, pictures in places_of_attempts(workspace, source, places, missing):
            rows = read_attempts(workspace, other, standing, None).filter(pl.col("image_id").is_in(pictures))
            new = not_standing(rows, known)
            known = pl.concat([known, new.select(NUMBERED)])
            missing -= _asked(rows, recipe_id)
            carried.append(new)
            _copy_records(workspace, other, source, set(new["recipe_id"]))
        attempts = pl.concat(carried).sort(ATTEMPT_KEY)
        for (recipe_id,), rows in attempts.group_by("recipe_id", maintain_order=True):
            _write(workspace, source, part, str(recipe_id), rows)
    return attempts.height


def _asked(attempts: pl.DataFrame, recipe_id: str) -> set[tuple[str, str | None]]:
    return set(attempts.filter(recipe_id=recipe_id).select("image_id", "emotion_prior").iter_rows())


def _write(workspace: Workspace, source: str, part: str, recipe_id: str, rows: pl.DataFrame) -> None:
    for chunk in rows.iter_slices(ROWS_PER_FILE):
        add_chunk(workspace, source, part, recipe_id, chunk, next(free_sequences(chunk_names(workspace, source, part, recipe_id))))


def _copy_records(workspace: Workspace, source: str, target: str, recipe_ids: set[str]) -> None:
    """What the recipe ids stand for, in words."""
    if source == target:
        return
    for name in (f"{recipe_id}.json" for recipe_id in sorted(recipe_ids)):
        if workspace.exists(FOLDER, source, name) and not workspace.exists(FOLDER, target, name):
            workspace.write_file(workspace.read_file(FOLDER, source, name), FOLDER, target, name)
