"""The emotion classifier: a linear or one-hidden-layer probe on embeddings with a calibrated temperature.

This module knows vectors and labels only; `probe_fitting` fits the weights, `probe_training` reads the rows out of a workspace.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy
from pydantic import Field

from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.filled_batches import filled_up
from coemogen_core.recipe import Recipe
from schemas.frozen_model import FrozenModel

TEMPERATURE_RANGE = (0.02, 50.0)
CALIBRATION_BINS = 15
ROWS_AT_ONCE = 256  # in every product of matrices, the last one filled up: a picture's logits do not depend on the others'


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood in nats of labels [n] (class indices) under softmax(logits [n, k] / temperature)."""
    log_probabilities = scipy.special.log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Temperature, 0.02 to 50, of least negative log-likelihood of labels [n] under logits [n, k]; each label needs a finite logit."""
    low, high = np.log(TEMPERATURE_RANGE)
    found = scipy.optimize.minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def calibrated_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) in float64, [n, k]."""
    return scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between confidence and accuracy, in [0, 1]: equal-width bins (low, high] weighted by their share of rows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.abs(np.bincount(index, correct, bins) - np.bincount(index, confidence, bins))
    return float(gaps.sum() / len(labels))


class ProbeRecipe(Recipe):
    """How the emotion classifier is trained."""

    hidden_width: int = Field(default=0, ge=0, le=8192, description="units of the hidden layer; 0 is a linear probe")
    strengths: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        description="inverse regularisation strengths to choose from on the validation split; null takes those that suit the kind",
    )
    selection_folds: int | None = Field(
        default=None,
        ge=2,
        le=20,
        description="folds of the training rows that choose strength and temperature, for small sets; none = the validation split does",
    )
    max_iterations: int = Field(
        default=500, ge=1, description="limit of the optimiser: iterations of a linear probe, epochs of one with a hidden layer"
    )
    held_out_fraction: float = Field(
        default=0.15,
        gt=0.0,
        lt=0.5,
        description="share of each class to carve out for validation or test where the source has no such split",
    )
    min_held_out_rows: int = Field(default=16, ge=1, description="a val or test split with fewer labelled rows counts as absent")
    seed: int = Field(default=0, ge=0, description="of the carving, the folds and a hidden layer's start")
    require_all_emotions: bool = Field(
        default=True, description="refuse a training set without all eight emotions; otherwise an absent one gets probability 0"
    )


@dataclass(frozen=True)
class EmotionProbe:
    """A trained probe: probabilities = softmax(logits / temperature), logits = affine layers with ReLU between them."""

    weights: tuple[np.ndarray, ...]
    """float32 [outputs, inputs] per layer; the last has 8 rows in the order of EMOTIONS"""
    biases: tuple[np.ndarray, ...]
    """float32 [outputs] per layer; in the last, minus infinity for an emotion that the training set did not have"""
    temperature: float = 1.0

    def with_temperature(self, temperature: float) -> "EmotionProbe":
        """The same weights, calibrated."""
        return replace(self, temperature=temperature)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Uncalibrated logits, float64 [n, 8]. Raises ValueError when the embeddings have another length."""
        width = self.weights[0].shape[1]
        if embeddings.ndim != 2 or embeddings.shape[1] != width:
            raise ValueError(
                f"this classifier wants embeddings of shape [n, {width}], not {list(embeddings.shape)}: "
                "use the encoder that it was trained with"
            )
        layers = [(weight.astype(np.float64).T, bias.astype(np.float64)) for weight, bias in zip(self.weights, self.biases, strict=True)]
        blocks = [np.empty((0, len(self.biases[-1])))]
        for start in range(0, len(embeddings), ROWS_AT_ONCE):
            outputs = filled_up(embeddings[start : start + ROWS_AT_ONCE], ROWS_AT_ONCE).astype(np.float64)
            for layer, (weight, bias) in enumerate(layers):
                outputs = (outputs if layer == 0 else np.maximum(outputs, 0.0)) @ weight + bias
            blocks.append(outputs[: len(embeddings) - start])
        return np.concatenate(blocks)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 [n, 8] in the order of EMOTIONS, of embeddings [n, dim]; softmax in float64."""
        return calibrated_probabilities(self.logits(embeddings), self.temperature).astype(np.float32)


class ClassifierMetrics(FrozenModel):
    """What a probe achieves on one set of rows."""

    rows: int = Field(ge=1, description="number of rows measured")
    accuracy: float = Field(ge=0, le=1, description="share of rows whose likeliest emotion is their label")
    macro_accuracy: float = Field(ge=0, le=1, description="mean over the emotions present of the accuracy within one emotion")
    majority_share: float = Field(ge=0, le=1, description="share of the commonest label: what guessing it would achieve")
    ece_before: float = Field(ge=0, le=1, description="expected calibration error at temperature 1 (15 bins)")
    ece_after: float = Field(ge=0, le=1, description="expected calibration error at the fitted temperature")
    nll_before: float = Field(ge=0, description="negative log-likelihood in nats at temperature 1")
    nll_after: float = Field(ge=0, description="negative log-likelihood in nats at the fitted temperature")
    confusion: list[list[int]] = Field(description="8 x 8 counts: row = label, column = prediction, in the order of EMOTIONS")


@dataclass(frozen=True)
class LabelledVectors:
    """Embeddings with class indices."""

    vectors: np.ndarray  # [n, dim]
    labels: np.ndarray  # int [n], indices into EMOTIONS

    def take(self, rows: np.ndarray) -> "LabelledVectors":
        """Some of the rows, by index."""
        return LabelledVectors(self.vectors[rows], self.labels[rows])


def measure_probe(probe: EmotionProbe, rows: LabelledVectors) -> ClassifierMetrics:
    """Accuracy, calibration and confusion of a probe on labelled rows (at least one)."""
    logits = probe.logits(rows.vectors)
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=int)
    np.add.at(confusion, (rows.labels, logits.argmax(axis=1)), 1)
    support = confusion.sum(axis=1)
    present = support > 0
    return ClassifierMetrics(
        rows=len(rows.labels),
        accuracy=float(np.trace(confusion) / support.sum()),
        macro_accuracy=float((np.diag(confusion)[present] / support[present]).mean()),
        majority_share=float(support.max() / support.sum()),
        ece_before=expected_calibration_error(calibrated_probabilities(logits, 1.0), rows.labels),
        ece_after=expected_calibration_error(calibrated_probabilities(logits, probe.temperature), rows.labels),
        nll_before=negative_log_likelihood(logits, rows.labels),
        nll_after=negative_log_likelihood(logits, rows.labels, probe.temperature),
        confusion=confusion.tolist(),
    )
