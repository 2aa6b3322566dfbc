"""The emotion classifiers of a workspace: `classifiers/<classifier_id>/`, weights beside a card that says where they come from.

And the scores that they give: calibrated probabilities for every embedded picture of a part.
"""

import time
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field, TypeAdapter
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from coemogen_core.classifier.emotion_probe import ClassifierMetrics, EmotionProbe, ProbeRecipe
from coemogen_core.data.standing_rows import standing_rows
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel
from schemas.outcomes import PartOutcome
from schemas.tables import EmotionScores

WEIGHTS = "probe.safetensors"
CARD = "classifier.json"


class _Card(FrozenModel):
    classifier_id: str = Field(description="recipe id")
    encoder_id: str = Field(description="encoder whose embeddings it reads")
    emotions: tuple[str, ...] = Field(description="emotions in the order of its probabilities")
    temperature: float = Field(gt=0, description="divides the logits; fitted on rows that did not fit the weights, or 1")


class ClassifierCard(_Card):
    """What is on record about an emotion classifier that was trained in this workspace."""

    source: str = Field(description="labelled source that it was trained on")
    parts: tuple[str, ...] = Field(description="image parts that it was trained on")
    recipe: ProbeRecipe = Field(description="training settings")
    strength: float = Field(description="inverse regularisation strength chosen on the validation split, or by folds of the training split")
    train_rows: int = Field(ge=1, description="rows that the weights were fitted on")
    val: ClassifierMetrics = Field(description="metrics on the validation split, which chose strength and temperature unless folds did")
    test: ClassifierMetrics = Field(description="metrics on the test split, which chose nothing")


class PublishedHeadCard(_Card):
    """What is on record about a classifier that somebody else trained and published."""

    origin: Literal["emogen"] = Field(description="whose it is")
    sha256: str = Field(description="of the published file")


_READ: TypeAdapter[ClassifierCard | PublishedHeadCard] = TypeAdapter(ClassifierCard | PublishedHeadCard)


def has_classifier(workspace: Workspace, name: str) -> bool:
    """Whether a classifier stands in this workspace, whole."""
    return workspace.exists("classifiers", name, CARD)


def read_classifier_card(workspace: Workspace, name: str) -> ClassifierCard | PublishedHeadCard:
    """What is on record about a classifier. Raises FileNotFoundError when this workspace has no such classifier."""
    try:
        return _READ.validate_python(workspace.read_json("classifiers", name, CARD))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no classifier {name} in {workspace.path('classifiers')}: train it first") from error


def read_trained_card(workspace: Workspace, name: str) -> ClassifierCard:
    """What is on record about a classifier that was trained here. Raises ValueError for a published one."""
    return ClassifierCard.model_validate(workspace.read_json("classifiers", name, CARD))


def load_probe(workspace: Workspace, name: str) -> EmotionProbe:
    """The weights of a classifier. Raises FileNotFoundError when this workspace has no such classifier."""
    return _probe_of(workspace, read_classifier_card(workspace, name))


def _probe_of(workspace: Workspace, card: ClassifierCard | PublishedHeadCard) -> EmotionProbe:
    tensors = load_tensors(workspace.read_file("classifiers", card.classifier_id, WEIGHTS))
    layers = range(len(tensors) // 2)
    weights, biases = (tuple(tensors[f"layer{layer}.{kind}"] for layer in layers) for kind in ("weight", "bias"))
    return EmotionProbe(weights, biases, card.temperature)


def save_classifier(workspace: Workspace, probe: EmotionProbe, card: ClassifierCard | PublishedHeadCard) -> None:
    """Keep a classifier; it exists when its card does, which is written last."""
    tensors: dict[str, np.ndarray] = {}
    for layer, (weight, bias) in enumerate(zip(probe.weights, probe.biases, strict=True)):
        tensors |= {f"layer{layer}.weight": np.ascontiguousarray(weight), f"layer{layer}.bias": np.ascontiguousarray(bias)}
    workspace.write_file(save_tensors(tensors), "classifiers", card.classifier_id, WEIGHTS)
    workspace.write_json(card.model_dump(mode="json"), "classifiers", card.classifier_id, CARD)


def score_part(workspace: Workspace, source: str, part: str, encoder_id: str, classifier_id: str) -> PartOutcome:
    """Score `embeddings/<source>/<encoder_id>/<part>` into `emotion_scores/<source>/<classifier_id>/<part>`.

    A picture that this classifier has scored before, in whatever part and source, is not scored again.

    Raises:
        FileNotFoundError: the classifier or the embeddings do not exist.
        ValueError: the classifier was trained on another encoder's embeddings.
    """
    started = time.perf_counter()
    scores = workspace.table("emotion_scores", source, classifier_id)
    reused = scores.has_part(part)
    if reused:
        height = scores.count([part])
    else:
        card = read_classifier_card(workspace, classifier_id)
        if card.encoder_id != encoder_id:
            raise ValueError(
                f"classifier {classifier_id} reads embeddings of {card.encoder_id}, not of {encoder_id}: embed with that encoder"
            )
        embeddings = workspace.table("embeddings", source, encoder_id)
        embedded = embeddings.read_part(part, remedy=f"embed source {source!r} first")
        rows = _standing_and_new(workspace, source, part, embedded, card)
        scores.write_part(part, rows, EmotionScores)
        height = rows.height
    return PartOutcome(part=part, rows=height, reused=reused, seconds=time.perf_counter() - started)


def _standing_and_new(
    workspace: Workspace, source: str, part: str, embedded: pl.DataFrame, card: ClassifierCard | PublishedHeadCard
) -> pl.DataFrame:
    """Scores of the embedded pictures of a part, in their order: those that stand in other parts, and those that are made now."""
    columns = EmotionScores.column_names()

    def read(other: str, standing: str) -> pl.DataFrame | None:
        return workspace.table("emotion_scores", other, card.classifier_id).find_part(standing, columns)

    found = standing_rows(workspace, embedded.select("image_id"), read, but=(source, part))
    known = EmotionScores.create_empty() if found is None else found
    new = embedded.join(known, on="image_id", how="anti", maintain_order="left")
    scored = score_rows(new["image_id"], _probe_of(workspace, card).predict(new["embedding"].to_numpy()))
    rows = pl.concat([known, EmotionScores.cast(scored)])
    return embedded.select("image_id").join(rows, on="image_id", how="inner", maintain_order="left")


def score_rows(image_ids: pl.Series, probabilities: np.ndarray) -> pl.DataFrame:
    """Rows of the scores table of pictures with these probabilities, float32 [n, 8]."""
    return pl.DataFrame(
        {
            "image_id": image_ids,
            "probabilities": pl.Series(probabilities),
            "label": pl.Series([EMOTIONS[index] for index in probabilities.argmax(axis=1)], dtype=pl.String),
            "confidence": probabilities.max(axis=1),
        }
    )
