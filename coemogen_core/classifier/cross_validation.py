"""Cross-validation of the emotion classifier: what its recipe achieves on pictures that it has not seen, with a spread.

In every fold the whole recipe runs again on the other folds, the choice of strength and temperature included, so nothing of a
fold's pictures is known to the classifier that predicts them.
"""

import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from pydantic import Field

from coemogen_core.classifier.classifier_store import score_rows
from coemogen_core.classifier.emotion_probe import LabelledVectors, ProbeRecipe, expected_calibration_error
from coemogen_core.classifier.probe_training import check_emotions, embedded, labelled_pictures, labelled_vectors
from coemogen_core.emotions import EMOTIONS, POSITIVE
from coemogen_core.recipe import Recipe, recipe_id
from coemogen_core.storage.row_digest import rows_digest
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel
from schemas.tables import EmotionScores

FOLDER = "cross_validation"
REPORT = "report.json"
PREDICTIONS = "out_of_fold"


class FoldsRecipe(Recipe):
    """How the labelled pictures are split into folds."""

    folds: int = Field(default=5, ge=2, le=20, description="number of folds, each with its share of every emotion")
    seed: int = Field(default=0, ge=0, description="of the shuffling")


class FoldValues(FrozenModel):
    """One number per fold."""

    mean: float = Field(description="mean over the folds")
    std: float = Field(ge=0, description="standard deviation over the folds (n - 1)")
    folds: tuple[float, ...] = Field(description="value of each fold")

    @classmethod
    def of(cls, values: Sequence[float]) -> "FoldValues":
        """Mean and standard deviation of at least two values."""
        return cls(mean=float(np.mean(values)), std=float(np.std(values, ddof=1)), folds=tuple(map(float, values)))


class CrossValidation(FrozenModel):
    """What a recipe achieves on unseen pictures, beside what knows nothing achieves."""

    validation_id: str = Field(description="recipe id of source, encoder, classifier recipe and folds")
    source: str = Field(description="labelled source")
    encoder_id: str = Field(description="encoder of the vectors")
    recipe: ProbeRecipe = Field(description="how the classifier is trained")
    folds: FoldsRecipe = Field(description="how the pictures are split")
    rows: int = Field(ge=1, description="labelled pictures, each predicted once")
    accuracy: FoldValues = Field(description="share whose likeliest of eight emotions is their label")
    polarity_accuracy: FoldValues = Field(description="share whose likelier polarity (sum over its four emotions) is that of their label")
    macro_accuracy: FoldValues = Field(description="mean over emotions of the accuracy within one emotion")
    ece: FoldValues = Field(description="expected calibration error of the calibrated probabilities (15 bins); large where folds are small")
    pooled_ece: float = Field(ge=0, le=1, description="the same over the pictures of all folds together")
    chance: float = Field(default=1 / len(EMOTIONS), description="accuracy of guessing among eight")
    polarity_chance: float = Field(default=0.5, description="polarity accuracy of guessing")
    majority: float = Field(ge=0, le=1, description="accuracy of always guessing the commonest emotion")
    polarity_majority: float = Field(ge=0, le=1, description="polarity accuracy of always guessing the commoner polarity")
    strengths: tuple[float, ...] = Field(description="inverse regularisation strength that each fold chose for itself")
    confusion: list[list[int]] = Field(description="8 x 8 counts over all folds: row = label, column = prediction")


class ValidationOutcome(FrozenModel):
    """Outcome of the stage."""

    report: CrossValidation = Field(description="the numbers")
    reused: bool = Field(description="they were there already and nothing was computed")
    seconds: float = Field(ge=0, description="wall-clock time")


def cross_validate(
    workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe, folds: FoldsRecipe
) -> ValidationOutcome:
    """Cross-validate a classifier recipe on all labelled pictures of a source, whatever their splits, unless that was done before.

    Writes `cross_validation/<validation_id>/report.json` and beside it, as rows of the scores table, what each picture's own fold
    said about it (`out_of_fold_predictions`). Holds all embeddings at once, like training.

    Raises:
        FileNotFoundError: a part has not been ingested or embedded.
        ValueError: too few labels.
    """
    started = time.perf_counter()
    labelled = labelled_pictures(workspace, source, sorted(parts))
    name = recipe_id("folds", {"pictures": rows_digest(labelled.drop("split")), "encoder": encoder_id, "recipe": recipe, "folds": folds})
    reused = workspace.exists(FOLDER, name, REPORT)
    if not reused:
        rows = embedded(labelled, workspace, source, sorted(parts), encoder_id)
        check_emotions(rows["label"], recipe)
        vectors = labelled_vectors(rows)
        probabilities, fold_of, strengths = predict_out_of_fold(vectors, recipe, folds)
        table = workspace.table(FOLDER, name)
        table.write_part(PREDICTIONS, score_rows(rows["image_id"], probabilities), EmotionScores)
        named = {"validation_id": name, "source": source, "encoder_id": encoder_id, "recipe": recipe, "folds": folds}
        report = CrossValidation(**named, **_measure(probabilities, vectors.labels, fold_of), strengths=strengths)
        workspace.write_json(report.model_dump(mode="json"), FOLDER, name, REPORT)  # last: its existence means done
    report = CrossValidation.model_validate(workspace.read_json(FOLDER, name, REPORT))
    return ValidationOutcome(report=report, reused=reused, seconds=time.perf_counter() - started)


def out_of_fold_predictions(workspace: Workspace, validation_id: str) -> pl.DataFrame:
    """Rows of the scores table, each predicted without that picture. Raises FileNotFoundError when that was never cross-validated here."""
    return workspace.table(FOLDER, validation_id).read_part(PREDICTIONS)


def predict_out_of_fold(rows: LabelledVectors, recipe: ProbeRecipe, folds: FoldsRecipe) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Calibrated probabilities, float32 [n, 8], of every row by a classifier that saw only the other folds.

    Also the fold of every row [n], and the strength that each fold chose. Raises ValueError where an emotion has too few rows for the
    folds.
    """
    from coemogen_core.classifier.probe_fitting import (  # here: scikit-learn takes a second to import
        fit_probe,
        fitted_and_held_out,
        stratified_folds,
    )

    probabilities = np.zeros((len(rows.labels), len(EMOTIONS)), dtype=np.float32)
    fold_of = np.zeros(len(rows.labels), dtype=int)
    strengths = []
    for fold, (inside, outside) in enumerate(stratified_folds(rows.labels, folds.folds, folds.seed)):
        probe, strength = fit_probe(*fitted_and_held_out(rows.take(inside), recipe), recipe)
        probabilities[outside], fold_of[outside] = probe.predict(rows.vectors[outside]), fold
        strengths.append(strength)
    return probabilities, fold_of, tuple(strengths)


def _measure(probabilities: np.ndarray, labels: np.ndarray, fold_of: np.ndarray) -> dict[str, object]:
    predicted, positives = probabilities.argmax(axis=1), len(POSITIVE)
    right = predicted == labels
    is_positive = labels < positives
    polarity_right = (probabilities[:, :positives].sum(axis=1) > probabilities[:, positives:].sum(axis=1)) == is_positive
    folds = [fold_of == fold for fold in np.unique(fold_of)]
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "rows": len(labels),
        "accuracy": FoldValues.of([right[fold].mean() for fold in folds]),
        "polarity_accuracy": FoldValues.of([polarity_right[fold].mean() for fold in folds]),
        "macro_accuracy": FoldValues.of(
            [np.mean([right[fold & (labels == label)].mean() for label in np.unique(labels[fold])]) for fold in folds]
        ),
        "ece": FoldValues.of([expected_calibration_error(probabilities[fold], labels[fold]) for fold in folds]),
        "pooled_ece": expected_calibration_error(probabilities, labels),
        "majority": float(np.bincount(labels).max() / len(labels)),
        "polarity_majority": float(max(is_positive.mean(), 1 - is_positive.mean())),
        "confusion": confusion.tolist(),
    }
