"""The emotion classifier: a linear probe on embeddings with a calibrated temperature.

This module knows vectors and labels only; `probe_training` reads them out of a workspace.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from coemogen_core.curation.calibration import (
    calibrated_probabilities,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from coemogen_core.emotions import EMOTIONS

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class ProbeRecipe(BaseModel):
    """How the emotion classifier is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strengths: tuple[float, ...] = Field(
        default=STRENGTHS, min_length=1, description="inverse regularisation strengths to choose from on the validation split"
    )
    max_iterations: int = Field(default=500, ge=1, description="limit of the optimiser")
    held_out_fraction: float = Field(
        default=0.15,
        gt=0.0,
        lt=0.5,
        description="share of each class to carve out for validation or test where the source has no such split",
    )
    min_held_out_rows: int = Field(default=16, ge=1, description="a val or test split with fewer labelled rows counts as absent")
    seed: int = Field(default=0, ge=0, description="of the carving")
    require_all_emotions: bool = Field(
        default=True, description="refuse a training set without all eight emotions; otherwise an absent one gets probability 0"
    )


@dataclass(frozen=True)
class EmotionProbe:
    """A trained probe: probabilities = softmax((embeddings @ weight.T + bias) / temperature)."""

    weight: np.ndarray
    """float32 [8, dim], rows in the order of EMOTIONS"""
    bias: np.ndarray
    """float32 [8]; minus infinity for an emotion that the training set did not have"""
    temperature: float

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Uncalibrated logits, float64 [n, 8]. Raises ValueError when the embeddings have another length."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"this classifier wants embeddings of shape [n, {self.weight.shape[1]}], not {list(embeddings.shape)}: "
                "use the encoder that it was trained with"
            )
        return embeddings.astype(np.float64) @ self.weight.astype(np.float64).T + self.bias.astype(np.float64)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, float32 [n, 8] in the order of EMOTIONS, of embeddings [n, dim]; softmax in float64."""
        return calibrated_probabilities(self.logits(embeddings), self.temperature).astype(np.float32)


class ProbeMetrics(BaseModel):
    """What a probe achieves on one set of rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    vectors: np.ndarray
    """[n, dim]"""
    labels: np.ndarray
    """int [n], indices into EMOTIONS"""


def fit_probe(train: LabelledVectors, val: LabelledVectors, recipe: ProbeRecipe) -> tuple[EmotionProbe, float]:
    """Multinomial logistic regression (scikit-learn) on standardised vectors, calibrated on `val`.

    Every strength of the recipe is fitted on `train`; the one whose temperature-scaled likelihood on `val` is best wins, the
    stronger regularisation among equals. Standardisation is folded into the weights.

    Returns:
        The probe and the chosen inverse regularisation strength.
    """
    scaler = StandardScaler().fit(train.vectors.astype(np.float64))
    inputs = scaler.transform(train.vectors.astype(np.float64))
    best: tuple[float, float, EmotionProbe] | None = None
    for strength in sorted(recipe.strengths):
        model = LogisticRegression(C=strength, max_iter=recipe.max_iterations, tol=1e-5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # validation judges the weights, converged or not
            model.fit(inputs, train.labels)
        probe = _calibrate(_folded(model, scaler), val)
        loss = negative_log_likelihood(probe.logits(val.vectors), val.labels, probe.temperature)
        if best is None or loss < best[0]:
            best = (loss, strength, probe)
    assert best is not None
    return best[2], best[1]


def measure_probe(probe: EmotionProbe, rows: LabelledVectors) -> ProbeMetrics:
    """Accuracy, calibration and confusion of a probe on labelled rows (at least one)."""
    logits = probe.logits(rows.vectors)
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=int)
    np.add.at(confusion, (rows.labels, logits.argmax(axis=1)), 1)
    support = confusion.sum(axis=1)
    present = support > 0
    return ProbeMetrics(
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


def _folded(model: LogisticRegression, scaler: StandardScaler) -> EmotionProbe:
    """Weights on raw vectors; scikit-learn keeps one row only for two classes, and none for an absent one."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    scaled = coefficients / scaler.scale_
    weight = np.zeros((len(EMOTIONS), scaled.shape[1]), dtype=np.float32)
    bias = np.full(len(EMOTIONS), -np.inf, dtype=np.float32)
    weight[model.classes_] = scaled
    bias[model.classes_] = intercepts - scaled @ scaler.mean_
    return EmotionProbe(weight, bias, temperature=1.0)


def _calibrate(probe: EmotionProbe, val: LabelledVectors) -> EmotionProbe:
    return EmotionProbe(probe.weight, probe.bias, fit_temperature(probe.logits(val.vectors), val.labels))
