"""Which pictures of a source are wanted, and for which emotion: a query over stored labels or stored scores."""

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.emoart import MIN_CONFIDENCE, judge_scores
from coemogen_core.curation.emoset import judge_labels
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS, Emotion


class Selection(BaseModel):
    """Either the labels of the source, or a classifier's labels above a confidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    emotions: tuple[Emotion, ...] = Field(default=EMOTIONS, min_length=1, description="emotions to collect")
    classifier_id: str | None = Field(default=None, description="classifier whose scores give the emotion; none = the labels of the source")
    min_confidence: float = Field(default=MIN_CONFIDENCE, ge=0.0, lt=1.0, description="a classifier's confidence must be greater than this")

    @classmethod
    def by_label(cls, emotions: tuple[Emotion, ...] = EMOTIONS) -> "Selection":
        """Pictures that people labelled with one of these emotions."""
        return cls(emotions=emotions)

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
        images = _read(workspace, "images", source, part=part, columns=["image_id", "label"], stage="ingest").sort("image_id")
        if self.classifier_id is None:
            return judge_labels(images, self.emotions)
        scores = _read(
            workspace, "emotion_scores", source, self.classifier_id, part=part, columns=["image_id", "label", "confidence"], stage="score"
        )
        scored = images.select("image_id").join(scores, on="image_id", how="left", maintain_order="left")
        return judge_scores(scored, self.emotions, self.min_confidence)

    def wanted(self, workspace: Workspace, source: str, part: str) -> pl.DataFrame:
        """The wanted pictures of an image part: `image_id`, `emotion`, sorted by id. Raises like `judge`."""
        return self.judge(workspace, source, part).filter(pl.col("reason").is_null()).select("image_id", emotion="label")


def _read(workspace: Workspace, *names: str, part: str, columns: list[str], stage: str) -> pl.DataFrame:
    table = workspace.table(*names)
    if not table.has_part(part):
        raise FileNotFoundError(f"no part {part} in {table.uri}: {stage} source {names[1]!r} first")
    return table.read_part(part, columns)
