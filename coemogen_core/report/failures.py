"""Samples in which the probe does not see the wanted emotion: the worst of each emotion, and a seeded draw that nobody picked."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.sample_pictures import EvaluatedSet
from coemogen_core.report.data import Failure, FailurePart
from coemogen_core.report.pictures import inline_samples

SIDE = 144


def choose_misses(
    probabilities: NDArray[np.floating], wanted: NDArray[np.integer], *, count: int, seed: int
) -> tuple[list[int], list[int], int]:
    """Choose which failures are shown: samples that the probe takes for another emotion.

    Args:
        probabilities: of every sample, [n, 8].
        wanted: index of the emotion that each was made for, [n].
        count: of the drawn ones, at most.
        seed: of the draw.

    Returns:
        The worst row of every emotion that fails, the one with the lowest probability of what was wanted (the first among equals);
        rows drawn from the others; and how many fail in all.
    """
    rows = np.flatnonzero(probabilities.argmax(axis=1) != wanted)
    of_wanted = probabilities[np.arange(len(wanted)), wanted]
    by_emotion = [rows[wanted[rows] == emotion] for emotion in range(len(EMOTIONS))]
    worst = [int(own[of_wanted[own].argmin()]) for own in by_emotion if len(own)]
    drawn = np.sort(np.random.default_rng(seed).permutation(np.setdiff1d(rows, worst))[:count])
    return worst, drawn.tolist(), len(rows)


def failure_parts(sets: Mapping[str, EvaluatedSet], labels: Mapping[str, str], count: int, seed: int) -> dict[str, FailurePart]:
    """The failures of every method: the worst of each emotion, and `count` drawn ones; methods without samples are left out."""
    parts = {}
    for method, found in sets.items():
        if not len(found.places):
            continue
        worst, drawn, missed = choose_misses(found.features.probabilities[0], found.emotions, count=count, seed=seed)
        alt = f"by {labels[method]}"
        parts[method] = FailurePart(
            images=len(found.emotions), missed=missed, worst=_failures(found, worst, alt), drawn=_failures(found, drawn, alt)
        )
    return parts


def _failures(found: EvaluatedSet, rows: Sequence[int], alt: str) -> list[Failure]:
    failures = []
    for row, picture in zip(rows, inline_samples(found, rows, alt, SIDE), strict=True):
        probabilities, wanted = found.features.probabilities[0][row], int(found.emotions[row])
        seen = int(probabilities.argmax())
        failures.append(
            Failure(
                picture=picture,
                wanted=EMOTIONS[wanted],
                seen=EMOTIONS[seen],
                wanted_probability=min(float(probabilities[wanted]), 1.0),
                seen_probability=min(float(probabilities[seen]), 1.0),
            )
        )
    return failures
