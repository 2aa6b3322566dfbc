"""Samples in which the probe does not see the wanted emotion: the worst of each emotion, and a seeded draw that nobody picked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.workspace_pictures import EvaluatedSet
from coemogen_core.report.data import Failure, FailurePart
from coemogen_core.report.pictures import inline_samples


@dataclass(frozen=True)
class Miss:
    """One sample that the probe takes for another emotion."""

    row: int
    wanted: str
    seen: str
    wanted_probability: float
    seen_probability: float


@dataclass(frozen=True)
class Misses:
    """How many there are, the worst of each emotion and some drawn at random, none in both."""

    images: int
    missed: int
    worst: list[Miss]
    drawn: list[Miss]


def find_misses(probabilities: NDArray[np.floating], wanted: NDArray[np.integer], *, count: int, seed: int) -> Misses:
    """Choose which failures are shown.

    Args:
        probabilities: of every sample, [n, 8].
        wanted: index of the emotion that each was made for, [n].
        count: of the drawn ones, at most.
        seed: of the draw.

    Returns:
        Worst: of every emotion that fails, the sample with the lowest probability of what was wanted (the first among equals).
    """
    seen = probabilities.argmax(axis=1)
    rows = np.flatnonzero(seen != wanted)
    of_wanted = probabilities[np.arange(len(wanted)), wanted]
    worst = []
    for emotion in range(len(EMOTIONS)):
        own = rows[wanted[rows] == emotion]
        if len(own):
            worst.append(int(own[of_wanted[own].argmin()]))
    others = np.setdiff1d(rows, worst)
    drawn = np.sort(np.random.default_rng(seed).permutation(others)[:count])

    def described(row: int) -> Miss:
        return Miss(row, EMOTIONS[wanted[row]], EMOTIONS[seen[row]], float(of_wanted[row]), float(probabilities[row, seen[row]]))

    return Misses(len(wanted), len(rows), [described(row) for row in worst], [described(int(row)) for row in drawn])


SIDE = 144


def failure_parts(sets: Mapping[str, EvaluatedSet], labels: Mapping[str, str], count: int, seed: int) -> dict[str, FailurePart]:
    """The failures of every method: the worst of each emotion, and `count` drawn ones; methods without samples are left out."""
    parts = {}
    for method, found in sets.items():
        if not len(found.places):
            continue
        misses = find_misses(found.features.probabilities[0], found.emotions, count=count, seed=seed)
        worst, drawn = (_failures(found, chosen, labels[method]) for chosen in (misses.worst, misses.drawn))
        parts[method] = FailurePart(images=misses.images, missed=misses.missed, worst=worst, drawn=drawn)
    return parts


def _failures(found: EvaluatedSet, misses: Sequence[Miss], label: str) -> list[Failure]:
    pictures = inline_samples(found, [miss.row for miss in misses], f"by {label}", SIDE)
    return [
        Failure(
            picture=picture,
            wanted=miss.wanted,
            seen=miss.seen,
            wanted_probability=min(miss.wanted_probability, 1.0),
            seen_probability=min(miss.seen_probability, 1.0),
        )
        for picture, miss in zip(pictures, misses, strict=True)
    ]
