"""Temperature scaling and the expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", 2017)."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

TEMPERATURE_RANGE = (0.02, 50.0)
CALIBRATION_BINS = 15


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood in nats of labels [n] (class indices) under softmax(logits [n, k] / temperature)."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Temperature that minimises the negative log-likelihood, within 0.02 to 50.

    Args:
        logits: [n, k], n >= 1.
        labels: class indices [n]; each must have a finite logit.
    """
    low, high = np.log(TEMPERATURE_RANGE)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def calibrated_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature) in float64, [n, k]."""
    return softmax(logits.astype(np.float64) / temperature, axis=1)


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between confidence and accuracy, in [0, 1]: equal-width bins (low, high] weighted by their share of rows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.abs(np.bincount(index, correct, bins) - np.bincount(index, confidence, bins))
    return float(gaps.sum() / len(labels))
