"""The current caption of every picture of a part: stored attempts and similarities, chosen by a policy."""

from collections.abc import Sequence

import polars as pl

from coemogen_core.captioning.attempts import chunk_names, part_recipe_sequence
from coemogen_core.curation.caption_policy import CaptionPolicy
from coemogen_core.data.workspace import Workspace

CURRENT = {
    "image_id": pl.String,
    "caption": pl.String,
    "emotion_prior": pl.String,
    "similarity": pl.Float32,
    "text_tokens": pl.Int32,
    "cut_tokens": pl.Int32,
    "recipe_id": pl.String,
    "attempt": pl.Int32,
}
"""Columns of the current captions; `similarity` and the tokens are null where the picture has no embedding."""

_ATTEMPT = ["image_id", "recipe_id", "attempt", "caption", "emotion_prior", "asked_at"]
_KEY = ["image_id", "recipe_id", "attempt"]


def admitted_chunks(workspace: Workspace, source: str, part: str, policy: CaptionPolicy) -> list[str]:
    """Chunks of an image part whose recipes take part in the choice."""
    return [chunk for chunk in chunk_names(workspace, source, part) if policy.admits(part_recipe_sequence(chunk)[1])]


def current_captions(
    workspace: Workspace,
    source: str,
    part: str,
    policy: CaptionPolicy,
    encoder_id: str,
    labels: pl.DataFrame,
    rejected: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Current caption of each picture of a part that has one.

    Args:
        workspace: holds captions and alignment.
        source: source of the pictures.
        part: image part.
        policy: how to choose.
        encoder_id: encoder of the similarities.
        labels: `image_id, label`: the present emotion of each picture.
        rejected: `image_id, recipe_id, attempt` of captions that a person rejected.

    Returns:
        The columns `CURRENT`, one row per picture, sorted by id.

    Raises:
        FileNotFoundError: a chunk has not been aligned with this encoder.
    """
    of_part = labels.select(pl.lit(part, pl.Enum([part])).alias("part"), "image_id", "label")
    return current_captions_of_parts(workspace, source, [part], policy, encoder_id, of_part, rejected).drop("part")


def current_captions_of_parts(
    workspace: Workspace,
    source: str,
    parts: Sequence[str],
    policy: CaptionPolicy,
    encoder_id: str,
    labels: pl.DataFrame,
    rejected: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Like `current_captions`, for many image parts at once: `labels` and the result have `part` (an enumeration of `parts`) in front."""
    kind = pl.Enum(parts)
    image_parts = {chunk: part for part in parts for chunk in admitted_chunks(workspace, source, part, policy)}
    if not image_parts:
        return pl.DataFrame(schema={"part": kind, **CURRENT})
    captions = _aligned_chunks(workspace, source, list(image_parts), encoder_id)
    captions = captions.with_columns(part=pl.col("part").replace_strict(image_parts, return_dtype=kind))
    if rejected is not None:
        captions = captions.join(rejected, on=_KEY, how="anti", maintain_order="left")
    labelled = captions.join(labels.select("part", "image_id", "label"), on=["part", "image_id"], how="left", maintain_order="left")
    fits = (pl.col("emotion_prior").is_null() | (pl.col("emotion_prior") == pl.col("label"))).fill_null(False)
    return policy.select(labelled.with_columns(fits=fits)).select("part", *CURRENT)


def _aligned_chunks(workspace: Workspace, source: str, chunks: list[str], encoder_id: str) -> pl.DataFrame:
    """Captions of the chunks with their similarity; `part` is the chunk."""
    alignment = workspace.table("alignment", source, encoder_id)
    missing = next((chunk for chunk in chunks if not alignment.has_part(chunk)), None)
    if missing is not None:
        raise FileNotFoundError(f"no part {missing} in {alignment.uri}: align the captions of source {source!r} with this encoder first")
    attempts = workspace.table("captions", source).read_parts(chunks, _ATTEMPT).filter(pl.col("caption").is_not_null())
    scores = alignment.read_parts(chunks, [*_KEY, "similarity", "text_tokens", "cut_tokens"])
    return attempts.join(scores, on=["part", *_KEY], how="left", maintain_order="left")
