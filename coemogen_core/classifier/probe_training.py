"""Training the emotion classifier of a workspace on a labelled source."""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import Field

from coemogen_core.classifier.classifier_store import ClassifierCard, has_classifier, read_trained_card, save_classifier
from coemogen_core.classifier.emotion_probe import LabelledVectors, ProbeRecipe, measure_probe
from coemogen_core.emotions import EMOTIONS
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.row_digest import rows_digest
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel


def assign_splits(rows: pl.DataFrame, recipe: ProbeRecipe) -> pl.DataFrame:
    """Give every labelled row (`image_id`, unique, `label`, and `split`, nullable) one of train, val, test; sorted by image id.

    A row without a split counts as train. A val or test split with fewer than `min_held_out_rows` rows counts as absent: its
    rows go to train, and a seeded share of each class is carved out of train instead, at least one row of every class that
    can spare it, never a class's last row. So the published splits of a real corpus are used as they are, and a folder of a
    few hundred photos without any still gets an honest validation and test.
    """
    rows = rows.sort("image_id").with_columns(pl.col("split").fill_null("train"))
    absent = [split for split in ("test", "val") if rows.filter(pl.col("split") == split).height < recipe.min_held_out_rows]
    rows = rows.with_columns(pl.col("split").replace(dict.fromkeys(absent, "train")))
    generator = np.random.default_rng(recipe.seed)
    for split in absent:
        rows = _carve(rows, split, recipe.held_out_fraction, generator)
    return rows


def check_classes(rows: pl.DataFrame, recipe: ProbeRecipe) -> None:
    """Refuse splits that no classifier can be trained on.

    Raises:
        ValueError: an emotion has no training row (named; unless the recipe allows it), fewer than two emotions have, or there
            is no row to validate or test on, or one whose emotion was never trained.
    """
    training = check_emotions(rows.filter(pl.col("split") == "train")["label"], recipe)
    for split in ("val", "test"):
        labels = set(rows.filter(pl.col("split") == split)["label"])
        if not labels:
            raise ValueError(f"no labelled image is left for the {split} split: every emotion needs at least three labelled images")
        if labels - training:
            names = ", ".join(sorted(labels - training))
            raise ValueError(f"the {split} split has emotions that the training split lacks: {names}. Mend the source's split files")


def check_emotions(labels: pl.Series, recipe: ProbeRecipe) -> set[str]:
    """The emotions among the labels to train on.

    Raises:
        ValueError: an emotion is absent (named; unless the recipe allows it), or fewer than two are there.
    """
    training = set(labels)
    absent = [emotion for emotion in EMOTIONS if emotion not in training]
    if absent and recipe.require_all_emotions:
        raise ValueError(
            f"the classifier's training split has no image of: {', '.join(absent)}. Add labelled images of them, or set "
            "require_all_emotions=False to train without them (they then never get predicted)"
        )
    if len(training) < 2:
        raise ValueError("the classifier's training split has images of fewer than two emotions: give it a labelled source")
    return training


def _carve(rows: pl.DataFrame, split: str, fraction: float, generator: np.random.Generator) -> pl.DataFrame:
    carved = np.zeros(rows.height, dtype=bool)
    for emotion in EMOTIONS:
        mask = rows.select((pl.col("split") == "train") & (pl.col("label") == emotion)).to_series().to_numpy()
        candidates = np.flatnonzero(mask)
        count = min(len(candidates) - 1, max(1, int(fraction * len(candidates))))
        carved[generator.permutation(candidates)[: max(count, 0)]] = True
    return rows.with_columns(pl.when(pl.Series(carved)).then(pl.lit(split)).otherwise(pl.col("split")).alias("split"))


class TrainedClassifier(FrozenModel):
    """Outcome of the training stage."""

    card: ClassifierCard = Field(description="the classifier on record")
    reused: bool = Field(description="it was there already and nothing was computed")
    seconds: float = Field(ge=0, description="wall-clock time")


def classifier_id(labelled: pl.DataFrame, encoder_id: str, recipe: ProbeRecipe) -> str:
    """Recipe id of the classifier trained on these labelled pictures (`labelled_pictures`), embedded by this encoder.

    Which source and parts they lie in changes no answer.
    """
    return recipe_id("probe", {"pictures": rows_digest(labelled), "encoder": encoder_id, "recipe": recipe})


def train_classifier(workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe) -> TrainedClassifier:
    """Train, calibrate and measure the emotion classifier on the labelled images of a source, unless it exists already.

    Holds the embeddings of all labelled images at once (118,000 x 768 numbers: 0.7 GiB in double precision), no pictures.

    Raises:
        FileNotFoundError: a part has not been ingested or embedded.
        ValueError: too few labels; see `check_classes`.
    """
    started = time.perf_counter()
    labelled = labelled_pictures(workspace, source, sorted(parts))
    name = classifier_id(labelled, encoder_id, recipe)
    reused = has_classifier(workspace, name)
    if reused:
        card = read_trained_card(workspace, name)
    else:
        from coemogen_core.classifier.probe_fitting import fit_probe  # here: scikit-learn takes a second to import

        rows = assign_splits(embedded(labelled, workspace, source, sorted(parts), encoder_id), recipe)
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


def labelled_pictures(workspace: Workspace, source: str, parts: Sequence[str]) -> pl.DataFrame:
    """`image_id`, `label` and `split` of the labelled pictures in these parts, each picture once, sorted.

    Raises:
        FileNotFoundError: a part has not been ingested.
        ValueError: no picture is labelled.
    """
    images, columns = workspace.table("images", source), ["image_id", "label", "split"]
    images.require_parts(parts, f"ingest source {source!r} first")
    rows = images.read_parts(parts, columns).select(columns).filter(pl.col("label").is_not_null())
    if rows.is_empty():
        raise ValueError(f"source {source!r} has no labelled image in the given parts: train the classifier on a labelled source")
    return rows.sort(columns).unique("image_id", keep="first", maintain_order=True)  # sorted before: in whatever parts they lie


def embedded(labelled: pl.DataFrame, workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str) -> pl.DataFrame:
    """The labelled pictures that have an `embedding`, with it. Raises FileNotFoundError when a part has not been embedded."""
    embeddings = workspace.table("embeddings", source, encoder_id)
    embeddings.require_parts(parts, f"embed source {source!r} with this encoder first")
    frames = [embeddings.read_part(part).join(labelled, on="image_id", how="semi") for part in parts]
    vectors = pl.concat(frames).unique("image_id", keep="first", maintain_order=True)
    return labelled.join(vectors, on="image_id", how="inner", maintain_order="left")


def labelled_vectors(rows: pl.DataFrame) -> LabelledVectors:
    """Vectors and class indices of rows with `label` and `embedding`."""
    index = {emotion: position for position, emotion in enumerate(EMOTIONS)}
    return LabelledVectors(rows["embedding"].to_numpy().astype(np.float32), np.array([index[name] for name in rows["label"]], dtype=int))
