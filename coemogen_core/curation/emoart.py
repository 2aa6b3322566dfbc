"""Selection from unlabelled art: a confident classifier gives the emotion of a picture (paper, section on EmoArt)."""

from collections.abc import Collection

import polars as pl

from coemogen_core.curation.emoset import NOT_COLLECTED
from coemogen_core.emotions import EMOART_EMOTIONS

MIN_CONFIDENCE = 0.75
LOW_CONFIDENCE = "low confidence"
NOT_SCORED = "not scored"


def judge_scores(scores: pl.DataFrame, emotions: Collection[str] = EMOART_EMOTIONS, min_confidence: float = MIN_CONFIDENCE) -> pl.DataFrame:
    """Say of every picture whether its scores make it a candidate for captioning.

    Args:
        scores: columns `image_id`, `label`, `confidence` (both null for a picture without scores).
        emotions: those to collect.
        min_confidence: the confidence must be greater, compared in single precision, as stored.

    Returns:
        Columns `image_id`, `label`, `confidence`, `reason` (null = selected), in the same order.
    """
    reason = (
        pl.when(pl.col("label").is_null())
        .then(pl.lit(NOT_SCORED))
        .when(pl.col("confidence") <= pl.lit(min_confidence, pl.Float32))
        .then(pl.lit(LOW_CONFIDENCE))
        .when(~pl.col("label").is_in(list(emotions)))
        .then(pl.lit(NOT_COLLECTED))
    )
    return scores.select("image_id", "label", "confidence", reason.alias("reason"))


def select_confident(
    scores: pl.DataFrame, emotions: Collection[str] = EMOART_EMOTIONS, min_confidence: float = MIN_CONFIDENCE
) -> pl.DataFrame:
    """Pictures to caption and their emotion: columns `image_id`, `emotion`. See `judge_scores` for the arguments."""
    return judge_scores(scores, emotions, min_confidence).filter(pl.col("reason").is_null()).select("image_id", emotion="label")
