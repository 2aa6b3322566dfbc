"""The captions table as a list of attempts: what was tried, what became of it, and what is due.

Chunks are named `<image part>/<caption recipe id>.<sequence number>`; nothing is ever rewritten. Each image part has a folder of its own,
so that looking up what a part has costs the same with a thousand parts as with a hundred thousand.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count

import polars as pl

from coemogen_core.captioning.backend import is_final
from coemogen_core.captioning.prompt import SENTENCE, answer_schema, form_instruction, load_prompt
from coemogen_core.captioning.recipe import BackendName, CaptionRecipe
from coemogen_core.storage.reading import has_file
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions

FOLDER = "caption_recipes"
ROWS_PER_FILE = 500
"""Attempts in a chunk at most, where a journal beside the table keeps every answer until its chunk is worth writing."""
ATTEMPT_KEY = ("image_id", "recipe_id", "attempt")
"""What names one caption among all."""
HISTORY_COLUMNS = ["image_id", "attempt", "emotion_prior", "caption", "error"]
"""What `attempts_of` needs to know of an attempt."""


@lru_cache(maxsize=64)
def write_recipe_record(workspace: Workspace, source: str, recipe: CaptionRecipe, backend: BackendName) -> None:
    """Write the record of a recipe, unless it is there; looked at once a process, not for every part."""
    name = f"{recipe.recipe_id(backend)}.json"
    if has_file(workspace.path(FOLDER, source, name)):
        return
    structured = recipe.answer != SENTENCE
    record = {
        "recipe_id": recipe.recipe_id(backend),
        "backend": backend,
        "model_identity": recipe.model_identity(backend),
        "recipe": recipe.model_dump(mode="json"),
        "prompt": load_prompt(recipe.prompt_id).model_dump(mode="json"),
        "answer_form": {"instruction": form_instruction(recipe.answer), "schema": answer_schema()} if structured else None,
    }
    workspace.write_json(record, FOLDER, source, name)


def chunk_name(part: str, recipe_id: str, sequence: int) -> str:
    """Name of a part of the captions table."""
    return f"{part}/{recipe_id}.{sequence:03d}"


def part_recipe_sequence(chunk: str) -> tuple[str, str, int]:
    """Image part, caption recipe and sequence number in the name of a chunk. Raises ValueError when the name has another form."""
    part, _, rest = chunk.rpartition("/")
    recipe_id, _, sequence = rest.rpartition(".")
    if not (part and recipe_id and sequence.isdigit()):
        raise ValueError(f"captions part {chunk!r} is not named <image part>/<caption recipe id>.<sequence number>")
    return part, recipe_id, int(sequence)


def chunk_names(workspace: Workspace, source: str, part: str, recipe_id: str | None = None) -> list[str]:
    """Finished chunks of one image part, of one recipe or of all, by recipe and in the order of their sequence numbers."""
    found = [part_recipe_sequence(name) for name in workspace.table("captions", source).parts(within=part)]
    return [chunk_name(*chunk) for chunk in sorted(found) if recipe_id in (None, chunk[1])]


def free_sequences(chunks: list[str]) -> Iterator[int]:
    """Sequence numbers for new chunks: first those that a killed run left out, then those after the last."""
    taken = {part_recipe_sequence(chunk)[2] for chunk in chunks}
    return (number for number in count() if number not in taken)


def read_attempts(workspace: Workspace, source: str, part: str, recipe_id: str | None, columns: list[str] | None = None) -> pl.DataFrame:
    """Attempts of an image part, of one recipe or of all (schema `Captions`, or the named columns), oldest first; may be none."""
    return read_chunks(workspace, source, chunk_names(workspace, source, part, recipe_id), columns)


def read_chunks(workspace: Workspace, source: str, names: list[str], columns: list[str] | None = None) -> pl.DataFrame:
    """Attempts of these chunks (schema `Captions`, or the named columns); may be none."""
    if not names:
        return Captions.create_empty().select(columns or Captions.column_names())
    return workspace.table("captions", source).read(columns, names)


def most_frequent_failures(workspace: Workspace, source: str, parts: Sequence[str], recipe_id: str, at_most: int = 3) -> str:
    """What the last attempts of a recipe failed with, e.g. "18 refused: HTTP 413 too large, 2 timeout: ...", most frequent first."""
    columns = ["image_id", "attempt", "error"]
    rows = pl.concat(
        [Captions.create_empty().select(columns), *(read_attempts(workspace, source, part, recipe_id, columns) for part in parts)]
    )
    last = rows.sort("attempt").unique("image_id", keep="last", maintain_order=True).drop_nulls("error")
    counts = last.group_by("error").agg(pl.len()).sort("len", "error", descending=[True, False]).head(at_most)
    return ", ".join(f"{count:,} {error}" for error, count in counts.iter_rows())


def attempts_of(wanted: pl.DataFrame, attempts: pl.DataFrame, recipe: CaptionRecipe) -> pl.DataFrame:
    """What became of each wanted picture so far; the recipe decides whether a failure is worth another attempt.

    Attempts that were given another emotion as prior answer another question: they only count for the number of the next attempt.
    So do attempts up to `after_attempt`, where a picture shall be captioned anew.

    Args:
        wanted: columns `image_id, emotion_prior, after_attempt`.
        attempts: the `HISTORY_COLUMNS`.

    Returns:
        `image_id, emotion_prior` of `wanted` in its order, with `tried` (attempts with this prior),
        `last_attempt` (number of the latest of all, 0 = none),
        `captioned` and `final` (captioned, or failed in a way that would repeat itself).
    """
    finality = pl.col("error").map_elements(lambda error: is_final(error, deterministic=recipe.deterministic), return_dtype=pl.Boolean)
    numbers = attempts.group_by("image_id").agg(last_attempt=pl.col("attempt").max())
    counting = attempts.join(wanted.select("image_id", "after_attempt"), on="image_id").filter(pl.col("attempt") > pl.col("after_attempt"))
    same_prior = counting.group_by("image_id", "emotion_prior").agg(
        tried=pl.len(), captioned=pl.col("caption").is_not_null().any(), failed_for_good=finality.fill_null(False).any()
    )
    return (
        wanted.join(numbers, on="image_id", how="left", maintain_order="left")
        .join(same_prior, on=["image_id", "emotion_prior"], how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.col("tried", "last_attempt").fill_null(0), pl.col("captioned", "failed_for_good").fill_null(False))
        .with_columns(final=pl.col("captioned") | pl.col("failed_for_good"))
        .drop("failed_for_good", "after_attempt")
    )


def due_now(history: pl.DataFrame, max_attempts: int) -> pl.DataFrame:
    """Pictures to caption in this run, by a history from `attempts_of`: of those not settled, the ones with the fewest attempts.

    One round a run: what was never tried comes first, and a failure is tried again only by a run that finds nothing newer; a picture that
    was tried `max_attempts` times is left alone. So a run that was killed and its resumption make the same rows as a run that was not.

    Returns:
        Columns `image_id, emotion_prior, attempt` (the number that the new attempt gets), in order.
    """
    unsettled = history.filter(~pl.col("final") & (pl.col("tried") < max_attempts))
    fewest = unsettled.filter(pl.col("tried") == pl.col("tried").min())
    return fewest.select("image_id", "emotion_prior", attempt=pl.col("last_attempt") + 1)
