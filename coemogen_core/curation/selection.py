"""Which pictures of a source are wanted, and for which emotion: a query over stored labels or stored scores."""

from collections.abc import Sequence

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
        return self.judge_parts(workspace, source, [part]).drop("part")

    def judge_parts(self, workspace: Workspace, source: str, parts: Sequence[str]) -> pl.DataFrame:
        """Like `judge`, for many image parts at once: with `part` in front, in the order of the parts, each sorted by id."""
        images = _read(workspace, "images", source, parts=parts, columns=["image_id", "label"], stage="ingest").sort("part", "image_id")
        if self.classifier_id is None:
            judged = judge_labels(images, self.emotions)
        else:
            names, columns = ("emotion_scores", source, self.classifier_id), ["image_id", "label", "confidence"]
            scores = _read(workspace, *names, parts=parts, columns=columns, stage="score")
            scored = images.select("part", "image_id").join(scores, on=["part", "image_id"], how="left", maintain_order="left")
            judged = judge_scores(scored, self.emotions, self.min_confidence)
        return judged.insert_column(0, images["part"])

    def wanted(self, workspace: Workspace, source: str, part: str) -> pl.DataFrame:
        """The wanted pictures of an image part: `image_id`, `emotion`, sorted by id. Raises like `judge`."""
        return self.judge(workspace, source, part).filter(pl.col("reason").is_null()).select("image_id", emotion="label")


def _read(workspace: Workspace, *names: str, parts: Sequence[str], columns: list[str], stage: str) -> pl.DataFrame:
    table = workspace.table(*names)
    missing = next((part for part in parts if not table.has_part(part)), None)
    if missing is not None:
        raise FileNotFoundError(f"no part {missing} in {table.uri}: {stage} source {names[1]!r} first")
    return table.read_parts(parts, columns)
