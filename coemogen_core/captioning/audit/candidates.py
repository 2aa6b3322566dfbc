"""The captions of a curated dataset that an audit may draw from, drawn part by part: never more than a part and a sample in memory."""

import polars as pl

from coemogen_core.captioning.attempts import chunk_names
from coemogen_core.captioning.audit.sample import AuditableCaptions, draw_sample
from coemogen_core.captioning.current_captions import CaptionedDataset
from coemogen_core.storage.workspace import Workspace


def draw_from_dataset(
    workspace: Workspace, decided: CaptionedDataset, *, per_emotion: int, seed: int, kept_only: bool = True
) -> pl.DataFrame:
    """Draw captions of a version of a dataset, each for the emotion under which its picture was decided.

    Args:
        workspace: holds decisions and captions.
        decided: a version of a curated dataset.
        per_emotion: captions of each emotion, at least 1.
        seed: another seed draws others.
        kept_only: only captions of kept pictures, those that a model is trained on; else every caption in use.

    Returns:
        Rows in the schema `AuditableCaptions`: the sample itself, from which `write_audit` with the same numbers draws all.
    """
    sample: pl.DataFrame = AuditableCaptions.create_empty()
    for part in decided.parts:
        rows = _decided(workspace, decided, part, kept_only)
        captions = _captions(workspace, decided.source, part, rows)
        sample = draw_sample(pl.concat([sample, captions]), per_emotion, seed)
    return sample


def _decided(workspace: Workspace, decided: CaptionedDataset, part: str, kept_only: bool) -> pl.DataFrame:
    columns = ["image_id", "kept", "label", "similarity", "caption_recipe_id", "caption_attempt"]
    rows = workspace.table("decisions", decided.dataset, decided.version).read_part(part, columns)
    usable = pl.col("caption_attempt").is_not_null() & pl.col("label").is_not_null()
    chosen = rows.filter(usable & pl.col("kept") if kept_only else usable)
    return chosen.rename({"caption_recipe_id": "recipe_id", "caption_attempt": "attempt", "label": "emotion"})


def _captions(workspace: Workspace, source: str, part: str, decided: pl.DataFrame) -> pl.DataFrame:
    """The captions that were decided on, with what their attempts say besides."""
    recipes = sorted(decided["recipe_id"].unique())
    chunks = [_attempts(workspace, source, chunk) for recipe_id in recipes for chunk in chunk_names(workspace, source, part, recipe_id)]
    if not chunks:
        return AuditableCaptions.create_empty()
    found = decided.join(pl.concat(chunks), on=["image_id", "recipe_id", "attempt"], how="inner", maintain_order="left")
    return found.with_columns(part=pl.lit(part)).select(AuditableCaptions.column_names())


def _attempts(workspace: Workspace, source: str, chunk: str) -> pl.DataFrame:
    rows = workspace.table("captions", source).read_part(chunk, ["image_id", "recipe_id", "attempt", "caption", "fields"])
    as_json = pl.when(pl.col("fields").is_not_null()).then(pl.col("fields").struct.json_encode())
    return rows.filter(pl.col("caption").is_not_null()).with_columns(fields=as_json)
