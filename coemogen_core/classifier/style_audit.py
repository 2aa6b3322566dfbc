"""Audit per style: how sure the emotion classifier is of each style's paintings, and how often zero-shot CLIP sees something else.

A classifier trained on photographs may be sure, and wrong, of what photographs never look like. Stored scores and embeddings only; the
eight texts are the one thing that a model is asked about.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import polars as pl
from pydantic import Field

from coemogen_core.classifier.rating_agreement import REPORTS
from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, POSITIVE
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

ZERO_SHOT_TEXT = "an image that evokes {emotion}"
NO_STYLE = "(no style)"


class StyleRow(FrozenModel):
    """One style."""

    style: str = Field(description="name of the style")
    pictures: int = Field(ge=1, description="scored pictures")
    mean_confidence: float = Field(ge=0, le=1, description="mean of the classifier's confidence")
    share_above: float = Field(ge=0, le=1, description="share of pictures above the confidence threshold")
    disagreement: float = Field(ge=0, le=1, description="share whose emotion zero-shot CLIP sees otherwise")
    polarity_disagreement: float = Field(ge=0, le=1, description="share whose polarity zero-shot CLIP sees otherwise")
    disagreement_above: float | None = Field(description="disagreement among those above the threshold; null without any")


class StyleAudit(FrozenModel):
    """The audit of a source."""

    audit_id: str = Field(description="recipe id of source, parts, classifier, encoder, texts and threshold")
    source: str = Field(description="source of the pictures")
    classifier_id: str = Field(description="classifier that scored them")
    encoder_id: str = Field(description="CLIP of the zero-shot guess")
    text: str = Field(description="what CLIP was given for each emotion")
    min_confidence: float = Field(description="a confidence must be greater than this to count as above")
    overall: StyleRow | None = Field(description="all styles together; null without a scored picture")
    styles: list[StyleRow] = Field(description="largest style first")


class StyleAuditOutcome(FrozenModel):
    """Outcome of the audit."""

    report: StyleAudit = Field(description="the numbers")
    reused: bool = Field(description="they were there already and nothing was computed")


def audit_styles(
    workspace: Workspace,
    dataset: str,
    source: str,
    parts: Sequence[str],
    classifier_id: str,
    encoder: EncoderRecipe,
    min_confidence: float,
    *,
    slot: Slot = nullcontext,
) -> StyleAuditOutcome:
    """Audit a scored source, and keep the answer: `reports/<dataset>/<audit_id>.json`. Holds one part's embeddings at a time.

    Pictures without a score or without an embedding of this encoder are left out.

    Raises:
        FileNotFoundError: a part has not been ingested, scored or embedded.
    """
    fields = {"source": source, "parts": sorted(parts), "classifier": classifier_id, "encoder": encoder.encoder_id}
    name = recipe_id("styles", {**fields, "text": ZERO_SHOT_TEXT, "min_confidence": min_confidence})
    if workspace.exists(REPORTS, dataset, f"{name}.json"):
        return StyleAuditOutcome(report=StyleAudit.model_validate(workspace.read_json(REPORTS, dataset, f"{name}.json")), reused=True)
    with slot():
        texts = load_encoder(encoder).encode_texts([ZERO_SHOT_TEXT.format(emotion=emotion) for emotion in EMOTIONS])
    found = [_sums(workspace, source, part, classifier_id, encoder.encoder_id, texts, min_confidence) for part in sorted(parts)]
    sums = pl.concat(found).group_by("style").sum().sort("pictures", "style", descending=[True, False])
    styles = [_style_row(**values) for values in sums.iter_rows(named=True)]
    total = sums.drop("style").sum().row(0, named=True)
    audit = StyleAudit(
        audit_id=name,
        source=source,
        classifier_id=classifier_id,
        encoder_id=encoder.encoder_id,
        text=ZERO_SHOT_TEXT,
        min_confidence=min_confidence,
        overall=_style_row(style="all", **total) if styles else None,
        styles=styles,
    )
    workspace.write_json(audit.model_dump(mode="json"), REPORTS, dataset, f"{name}.json")
    return StyleAuditOutcome(report=audit, reused=False)


def zero_shot_labels(embeddings: np.ndarray, texts: np.ndarray) -> list[str]:
    """The emotion whose text is most similar to each picture, of embeddings [n, dim] and texts [8, dim] of one CLIP."""
    return [EMOTIONS[index] for index in (embeddings.astype(np.float32) @ texts.T).argmax(axis=1)]


def _sums(
    workspace: Workspace, source: str, part: str, classifier_id: str, encoder_id: str, texts: np.ndarray, min_confidence: float
) -> pl.DataFrame:
    """By style, what `_style_row` wants of one part's pictures."""
    embeddings = workspace.table("embeddings", source, encoder_id).read_part(part)
    seen = embeddings.select("image_id", pl.Series("seen", zero_shot_labels(embeddings["embedding"].to_numpy(), texts), dtype=pl.String))
    scores = workspace.table("emotion_scores", source, classifier_id).read_part(part, ["image_id", "label", "confidence"])
    styles = workspace.table("images", source).read_part(part, ["image_id", "style"])
    above = pl.col("confidence") > pl.lit(min_confidence, pl.Float32)  # as the selection compares
    differs = pl.col("label") != pl.col("seen")
    positive = list(POSITIVE)
    rows = styles.join(scores, on="image_id").join(seen, on="image_id").with_columns(pl.col("style").fill_null(NO_STYLE))
    return rows.group_by("style").agg(
        pictures=pl.len().cast(pl.Int64),
        confidence=pl.col("confidence").cast(pl.Float64).sum(),
        above=above.sum().cast(pl.Int64),
        differs=differs.sum().cast(pl.Int64),
        polarity_differs=(pl.col("label").is_in(positive) != pl.col("seen").is_in(positive)).sum().cast(pl.Int64),
        above_differs=(above & differs).sum().cast(pl.Int64),
    )


def _style_row(
    style: str, pictures: int, confidence: float, above: int, differs: int, polarity_differs: int, above_differs: int
) -> StyleRow:
    return StyleRow(
        style=style,
        pictures=pictures,
        mean_confidence=round(confidence / pictures, 6),  # the order of a sum must not show
        share_above=above / pictures,
        disagreement=differs / pictures,
        polarity_disagreement=polarity_differs / pictures,
        disagreement_above=above_differs / above if above else None,
    )
