"""Emo-A: how often an emotion probe recognises the emotion an image was made for (accuracy over images).

With the confusion matrix goes a collapse check: a probe, or a generator, that gives one answer for everything has a majority
share near 1, whatever its accuracy.
"""

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.statistics.shares import hits_interval
from schemas.metrics import Interval, ProbeAnswers

SUSPICIOUS_EXCESS = 0.25
"""With eight emotions asked for equally often, one answer for 34 % of the images."""


def correct(probabilities: NDArray[np.floating], wanted: NDArray[np.integer]) -> NDArray[np.float64]:
    """1.0 where the most probable emotion is the wanted one, else 0.0; [n] from probabilities [n, 8] and indices [n]."""
    return (probabilities.argmax(axis=1) == wanted).astype(np.float64)


def probe_metrics(probabilities: NDArray[np.floating], wanted: NDArray[np.integer], level: float | None = None) -> ProbeAnswers:
    """Accuracy, confusion matrix and collapse check of one probe.

    Args:
        probabilities: of every image, [n, 8]; none of them gives nulls.
        wanted: index of the emotion that each was made for, [n].
        level: of the intervals, e.g. 0.95; None = neither intervals nor a verdict on collapse.
    """
    seen = probabilities.argmax(axis=1)
    matrix = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=np.int64)
    np.add.at(matrix, (wanted, seen), 1)
    total = int(matrix.sum())
    if total == 0:
        return ProbeAnswers(accuracy=None, confusion=matrix.tolist(), majority_share=None, majority_emotion=None, majority_baseline=None)
    answers, asked = matrix.sum(axis=0), matrix.sum(axis=1)
    commonest = int(answers.argmax())
    intervals: list[Interval | None] = [None, None]
    if level is not None:
        intervals = [hits_interval(hits, wanted, level) for hits in (correct(probabilities, wanted), seen == commonest)]
    share, expected = float(answers[commonest] / total), float(asked[commonest] / total)
    return ProbeAnswers(
        accuracy=float(np.trace(matrix) / total),
        interval=intervals[0],
        confusion=matrix.tolist(),
        majority_share=share,
        majority_interval=intervals[1],
        majority_emotion=EMOTIONS[commonest],
        majority_baseline=float(asked.max() / total),
        collapsed=None if intervals[1] is None or asked.max() == total else is_suspicious(share, intervals[1], expected),
    )


def is_suspicious(share: float, interval: Interval, expected: float) -> bool:
    """Whether an answer is given too often.

    Of the answers that belong elsewhere, it has taken at least `SUSPICIOUS_EXCESS`, and chance does not explain that it is given more often
    than it is right to.

    Args:
        share: of the images that got this answer, 0 to 1.
        interval: of that share.
        expected: share of the images that were made for this emotion, below 1.
    """
    return (share - expected) / (1 - expected) >= SUSPICIOUS_EXCESS and interval.low > expected
