"""Samples in which the probe does not see the wanted emotion: the worst of each emotion, and a seeded draw that nobody picked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS


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
