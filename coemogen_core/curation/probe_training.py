"""Training the emotion classifier of a workspace, and keeping it: `classifiers/<classifier_id>/`."""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from coemogen_core.curation.emotion_probe import EmotionProbe, LabelledVectors, ProbeMetrics, ProbeRecipe, measure_probe
from coemogen_core.curation.labelled_splits import assign_splits, check_classes
from coemogen_core.curation.probe_fitting import fit_probe
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.recipe import recipe_id

WEIGHTS = "probe.safetensors"
CARD = "classifier.json"


class ClassifierCard(BaseModel):
    """What is on record about a trained emotion classifier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classifier_id: str = Field(description="recipe id")
    encoder_id: str = Field(description="encoder whose embeddings it reads")
    source: str = Field(description="labelled source that it was trained on")
    parts: tuple[str, ...] = Field(description="image parts that it was trained on")
    recipe: ProbeRecipe = Field(description="training settings")
    emotions: tuple[str, ...] = Field(description="emotions in the order of its probabilities")
    strength: float = Field(description="inverse regularisation strength chosen on the validation split")
    temperature: float = Field(gt=0, description="fitted on the validation split")
    train_rows: int = Field(ge=1, description="rows that the weights were fitted on")
    val: ProbeMetrics = Field(description="metrics on the validation split, which chose strength and temperature")
    test: ProbeMetrics = Field(description="metrics on the test split, which chose nothing")


class TrainedClassifier(BaseModel):
    """Outcome of the training stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    card: ClassifierCard = Field(description="the classifier on record")
    reused: bool = Field(description="it was there already and nothing was computed")
    seconds: float = Field(ge=0, description="wall-clock time")


def classifier_id(source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe) -> str:
    """Recipe id of the classifier trained on these image parts of a source, embedded by this encoder."""
    fields = {"source": source, "parts": sorted(parts), "encoder": encoder_id, "recipe": recipe}
    return recipe_id("probe", fields)


def train_classifier(workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe) -> TrainedClassifier:
    """Train, calibrate and measure the emotion classifier on the labelled images of a source, unless it exists already.

    Holds the embeddings of all labelled images at once (118,000 x 768 numbers: 0.7 GiB in double precision), no pictures.

    Raises:
        FileNotFoundError: a part has not been ingested or embedded.
        ValueError: too few labels; see `check_classes`.
    """
    started = time.perf_counter()
    name = classifier_id(source, parts, encoder_id, recipe)
    reused = workspace.exists("classifiers", name, CARD)
    if reused:
        card = read_classifier_card(workspace, name)
    else:
        rows = assign_splits(_labelled_rows(workspace, source, sorted(parts), encoder_id), recipe)
        check_classes(rows, recipe)
        train, val, test = (_vectors(rows, split) for split in ("train", "val", "test"))
        probe, strength = fit_probe(train, val, recipe)
        card = ClassifierCard(
            classifier_id=name,
            encoder_id=encoder_id,
            source=source,
            parts=tuple(sorted(parts)),
            recipe=recipe,
            emotions=EMOTIONS,
            strength=strength,
            temperature=probe.temperature,
            train_rows=len(train.labels),
            val=measure_probe(probe, val),
            test=measure_probe(probe, test),
        )
        _save(workspace, probe, card)
    return TrainedClassifier(card=card, reused=reused, seconds=time.perf_counter() - started)


def read_classifier_card(workspace: Workspace, name: str) -> ClassifierCard:
    """What is on record about a classifier. Raises FileNotFoundError when it was never trained in this workspace."""
    if not workspace.exists("classifiers", name, CARD):
        raise FileNotFoundError(f"no classifier {name} in {workspace.path('classifiers')}: train it first")
    return ClassifierCard.model_validate(workspace.read_json("classifiers", name, CARD))


def load_probe(workspace: Workspace, name: str) -> EmotionProbe:
    """A trained classifier. Raises FileNotFoundError when it was never trained in this workspace."""
    card = read_classifier_card(workspace, name)
    tensors = load_tensors(workspace.read_file("classifiers", name, WEIGHTS))
    layers = range(len(tensors) // 2)
    weights, biases = (tuple(tensors[f"layer{layer}.{kind}"] for layer in layers) for kind in ("weight", "bias"))
    return EmotionProbe(weights, biases, card.temperature)


def _save(workspace: Workspace, probe: EmotionProbe, card: ClassifierCard) -> None:
    tensors: dict[str, np.ndarray] = {}
    for layer, (weight, bias) in enumerate(zip(probe.weights, probe.biases, strict=True)):
        tensors |= {f"layer{layer}.weight": np.ascontiguousarray(weight), f"layer{layer}.bias": np.ascontiguousarray(bias)}
    workspace.write_file(save_tensors(tensors), "classifiers", card.classifier_id, WEIGHTS)
    workspace.write_json(card.model_dump(mode="json"), "classifiers", card.classifier_id, CARD)  # last: its existence means done


def _labelled_rows(workspace: Workspace, source: str, parts: list[str], encoder_id: str) -> pl.DataFrame:
    images, embeddings = workspace.table("images", source), workspace.table("embeddings", source, encoder_id)
    frames = []
    for part in parts:
        if not images.has_part(part) or not embeddings.has_part(part):
            raise FileNotFoundError(
                f"part {part} of source {source!r} lacks images or embeddings ({embeddings.uri}): ingest and embed it first"
            )
        labelled = images.read_part(part, ["image_id", "label", "split"]).filter(pl.col("label").is_not_null())
        frames.append(labelled.join(embeddings.read_part(part), on="image_id", how="inner"))
    if not sum(frame.height for frame in frames):
        raise ValueError(f"source {source!r} has no labelled image in the given parts: train the classifier on a labelled source")
    return pl.concat(frames).unique("image_id", keep="first", maintain_order=True)


def _vectors(rows: pl.DataFrame, split: str) -> LabelledVectors:
    chosen = rows.filter(pl.col("split") == split)
    index = {emotion: position for position, emotion in enumerate(EMOTIONS)}
    return LabelledVectors(chosen["embedding"].to_numpy().astype(np.float32), np.array([index[name] for name in chosen["label"]]))
