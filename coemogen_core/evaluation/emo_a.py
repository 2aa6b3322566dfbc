"""Emo-A: how often an emotion probe recognises the emotion an image was made for (accuracy over images).

With the confusion matrix goes a collapse check: a probe, or a generator, that gives one answer for everything has a majority
share near 1, whatever its accuracy.
"""

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from schemas.metrics import ProbeMetrics


def correct(probabilities: NDArray[np.floating], wanted: NDArray[np.integer]) -> NDArray[np.float64]:
    """1.0 where the most probable emotion is the wanted one, else 0.0; [n] from probabilities [n, 8] and indices [n]."""
    return (probabilities.argmax(axis=1) == wanted).astype(np.float64)


def confusion_matrix(probabilities: NDArray[np.floating], wanted: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts [8, 8]: row = wanted, column = recognised."""
    matrix = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=np.int64)
    np.add.at(matrix, (wanted, probabilities.argmax(axis=1)), 1)
    return matrix


def probe_metrics(probabilities: NDArray[np.floating], wanted: NDArray[np.integer]) -> ProbeMetrics:
    """Accuracy, confusion matrix and collapse check of one probe. Numbers are null when there are no images."""
    matrix = confusion_matrix(probabilities, wanted)
    total = int(matrix.sum())
    if total == 0:
        return ProbeMetrics(accuracy=None, confusion=matrix.tolist(), majority_share=None, majority_emotion=None, majority_baseline=None)
    answers = matrix.sum(axis=0)
    return ProbeMetrics(
        accuracy=float(np.trace(matrix) / total),
        confusion=matrix.tolist(),
        majority_share=float(answers.max() / total),
        majority_emotion=EMOTIONS[int(answers.argmax())],
        majority_baseline=float(matrix.sum(axis=1).max() / total),
    )
