"""Training the emotion classifier of a workspace on a labelled source."""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.classifier_store import ClassifierCard, has_classifier, read_classifier_card, save_classifier
from coemogen_core.curation.emotion_probe import LabelledVectors, ProbeRecipe, measure_probe
from coemogen_core.curation.labelled_splits import assign_splits, check_classes
from coemogen_core.curation.probe_fitting import fit_probe
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.recipe import recipe_id


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
    reused = has_classifier(workspace, name)
    if reused:
        card = read_classifier_card(workspace, name)
        assert isinstance(card, ClassifierCard)
    else:
        rows = assign_splits(labelled_rows(workspace, source, sorted(parts), encoder_id), recipe)
        check_classes(rows, recipe)
        train, val, test = (labelled_vectors(rows.filter(pl.col("split") == split)) for split in ("train", "val", "test"))
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
        save_classifier(workspace, probe, card)
    return TrainedClassifier(card=card, reused=reused, seconds=time.perf_counter() - started)


def labelled_rows(workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str) -> pl.DataFrame:
    """`image_id`, `label`, `split` and `embedding` of the labelled pictures in these parts, each picture once.

    Raises:
        FileNotFoundError: a part has not been ingested or embedded.
        ValueError: no picture is labelled.
    """
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


def labelled_vectors(rows: pl.DataFrame) -> LabelledVectors:
    """Vectors and class indices of rows with `label` and `embedding`."""
    index = {emotion: position for position, emotion in enumerate(EMOTIONS)}
    return LabelledVectors(rows["embedding"].to_numpy().astype(np.float32), np.array([index[name] for name in rows["label"]], dtype=int))
