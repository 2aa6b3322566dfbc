"""Which pictures of a source are wanted, and for which emotion: a query over stored labels or stored scores."""

from collections.abc import Collection, Sequence
from typing import Annotated

import polars as pl
from pydantic import AfterValidator, Field

from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS, Emotion
from coemogen_core.recipe import Recipe, Unordered
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import each_once

NO_LABEL = "no label"
NOT_COLLECTED = "emotion not collected"
LOW_CONFIDENCE = "low confidence"
NOT_SCORED = "not scored"
MIN_CONFIDENCE = 0.75


def judge_labels(images: pl.DataFrame, emotions: Collection[str] = EMOTIONS) -> pl.DataFrame:
    """Say of every picture (`image_id`, `label`, nullable) whether its label, one of the emotions to collect, makes it a candidate.

    Returns:
        Columns `image_id`, `label`, `confidence` (null: a person gave the label), `reason` (null = selected), in the same order.
    """
    reason = (
        pl.when(pl.col("label").is_null()).then(pl.lit(NO_LABEL)).when(~pl.col("label").is_in(list(emotions))).then(pl.lit(NOT_COLLECTED))
    )
    return images.select("image_id", "label", pl.lit(None, pl.Float32).alias("confidence"), reason.alias("reason"))


def judge_scores(scores: pl.DataFrame, emotions: Collection[str] = EMOART_EMOTIONS, min_confidence: float = MIN_CONFIDENCE) -> pl.DataFrame:
    """Like `judge_labels`, for scores: columns `image_id`, `label`, `confidence` (both null for a picture without scores).

    The confidence must be greater than `min_confidence`, compared in single precision, as stored.
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


class Selection(Recipe):
    """Either the labels of the source, or a classifier's labels above a confidence."""

    emotions: Annotated[tuple[Emotion, ...], AfterValidator(each_once), Unordered] = Field(
        default=EMOTIONS, min_length=1, description="emotions to collect"
    )
    classifier_id: str | None = Field(default=None, description="classifier whose scores give the emotion; none = the labels of the source")
    min_confidence: float = Field(default=MIN_CONFIDENCE, ge=0.0, lt=1.0, description="a classifier's confidence must be greater than this")

    @classmethod
    def by_confidence(
        cls, classifier_id: str, emotions: tuple[Emotion, ...] = EMOART_EMOTIONS, min_confidence: float = MIN_CONFIDENCE
    ) -> "Selection":
        """Pictures in which a classifier sees one of these emotions with more than this confidence."""
        return cls(emotions=emotions, classifier_id=classifier_id, min_confidence=min_confidence)

    def judge(self, workspace: Workspace, source: str, part: str) -> pl.DataFrame:
        """One row for every picture of an image part: `image_id`, `label`, `confidence`, `reason` (null = wanted), sorted by id.

        Raises:
            FileNotFoundError: the part of the images table, or of the scores where they decide, does not exist.
        """
        return self.judge_parts(workspace, source, [part]).drop("part")

    def judge_parts(self, workspace: Workspace, source: str, parts: Sequence[str]) -> pl.DataFrame:
        """Like `judge`, for many image parts at once: with `part` in front, in the order of the parts, each sorted by id."""
        table = workspace.table("images", source)
        images = table.read_parts(parts, ["image_id", "label"], remedy=f"ingest source {source!r} first").sort("part", "image_id")
        if self.classifier_id is None:
            judged = judge_labels(images, self.emotions)
        else:
            table = workspace.table("emotion_scores", source, self.classifier_id)
            scores = table.read_parts(parts, ["image_id", "label", "confidence"], remedy=f"score source {source!r} first")
            scored = images.select("part", "image_id").join(scores, on=["part", "image_id"], how="left", maintain_order="left")
            judged = judge_scores(scored, self.emotions, self.min_confidence)
        return judged.insert_column(0, images["part"])

    def wanted(self, workspace: Workspace, source: str, part: str) -> pl.DataFrame:
        """The wanted pictures of an image part: `image_id`, `emotion`, sorted by id. Raises like `judge`."""
        return self.judge(workspace, source, part).filter(pl.col("reason").is_null()).select("image_id", emotion="label")
