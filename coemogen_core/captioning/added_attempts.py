"""Attempts join those that a part has: none is written twice, and none takes the number or the chunk of another.

Sources that are captioned at the same time may give the same number to different attempts, e.g. with different emotions as prior.
"""

import polars as pl

from coemogen_core.captioning.attempts import ATTEMPT_KEY, chunk_name, chunk_names, free_sequences, read_attempts
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions

_PICTURE = ("image_id", "recipe_id")
_ANSWER = ("emotion_prior", "caption", "error")
NUMBERED = [*ATTEMPT_KEY, *_ANSWER, "asked_at"]
"""What `not_standing` needs to know of an attempt."""
WRITING = "carried"
"""Name of the lock (`journal.part_lock`) of whoever adds chunks to a part, of whatever recipe; held for as long as that takes."""


def not_standing(rows: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """Attempts that do not stand yet, in their order; one whose number another attempt has gets the picture's next free number.

    The same attempt gave the same answer to the same prior, under the same number or, where that was taken, at the same time.

    Args:
        rows: the `NUMBERED` columns; others pass through.
        standing: the `NUMBERED` columns.
    """
    new = rows.unique([*ATTEMPT_KEY, *_ANSWER], keep="last", maintain_order=True)
    for same in (ATTEMPT_KEY, (*_PICTURE, "asked_at")):
        new = new.join(standing, on=[*same, *_ANSWER], how="anti", nulls_equal=True, maintain_order="left")
    numbers = pl.concat([standing.select(ATTEMPT_KEY), new.select(ATTEMPT_KEY)])
    taken = (~pl.struct(ATTEMPT_KEY).is_first_distinct()).tail(new.height)
    last = numbers.group_by(_PICTURE).agg(last=pl.col("attempt").max())
    further = pl.col("last") + pl.col("taken").cast(pl.Int32).cum_sum().over(_PICTURE)
    told = new.with_columns(numbers.select(taken=taken).to_series()).join(last, on=_PICTURE, how="left", maintain_order="left")
    return told.with_columns(attempt=pl.when("taken").then(further).otherwise("attempt")).select(rows.columns)


def add_chunk(workspace: Workspace, source: str, part: str, recipe_id: str, rows: pl.DataFrame, sequence: int) -> None:
    """Write a chunk of attempts under this number, or the next free one where another run took it meanwhile: then what it wrote stands."""
    captions = workspace.table("captions", source)
    while not rows.is_empty():
        try:
            captions.write_part(chunk_name(part, recipe_id, sequence), rows, Captions, replace=False)
            return
        except FileExistsError:
            rows = not_standing(rows, read_attempts(workspace, source, part, recipe_id, NUMBERED))
            sequence = next(free_sequences(chunk_names(workspace, source, part, recipe_id)))
