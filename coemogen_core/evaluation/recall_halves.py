"""How far other generated images would move recall: recall of random halves of them (Shao & Wu 1989, the delete-half jackknife).

Recall depends on the nearest neighbours among the generated images. Where images repeat, as in a bootstrap, they are each other's nearest;
where one is left out, three balls grow at once, and what they gain would be counted three times. Half of the images are a set like the
whole one. With one half left out, the spread of the other's recall is the standard error as it stands.

A half's balls need no distances anew: the ball around an image reaches to the third of its neighbours that is in the half, so what
counts of a real image is how many of these neighbours are nearer than it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.statistics.jackknife import Spread

REACH = 20
"""Neighbours that are known of every image: of 20, fewer than three are in the half once in 5,000 times."""
HALVES = 200


@dataclass(frozen=True)
class Near:
    """Real images within reach of generated ones, an entry [e] a pair."""

    real: NDArray[np.intp]
    ball: NDArray[np.intp]  # the generated image
    nearer: NDArray[np.intp]  # how many of its neighbours are nearer to it than the real image is


def near(distances: NDArray[np.float64], squares: NDArray[np.float64], start: int) -> Near:
    """The pairs of a block of real images: squared distances [b, n] to all generated ones, whose own to their neighbours are [n, k].

    Args:
        distances: of the block.
        squares: squared distances of every generated image to its neighbours, nearest first.
        start: number of the block's first real image.
    """
    row, ball = np.nonzero(distances <= squares[:, -1])
    nearer = (squares[ball] < distances[row, ball][:, None]).sum(axis=1)
    return Near(row + start, ball, nearer)


def recall(pairs: Sequence[Near], nearest: NDArray[np.intp], real: int, neighbours: int, kept: NDArray[np.bool_] | None = None) -> float:
    """Share of the real images that lie in a ball around one of the kept generated images [n]; None keeps all.

    Args:
        pairs: of all blocks.
        nearest: indices [n, k] of the neighbours of every generated image.
        real: how many real images there are.
        neighbours: a ball reaches to this nearest of the kept ones.
        kept: mask [n].
    """
    present = np.full(nearest.shape, True) if kept is None else kept[nearest]
    passed = np.cumsum(present, axis=1)
    last = np.where(passed[:, -1] >= neighbours, (passed < neighbours).sum(axis=1), nearest.shape[1])
    found = np.zeros(real, dtype=bool)
    for some in pairs:
        inside = some.nearer <= last[some.ball]
        found[some.real[inside if kept is None else inside & kept[some.ball]]] = True
    return float(found.mean())


def spread(
    pairs: Sequence[Near], nearest: NDArray[np.intp], real: int, neighbours: int, groups: NDArray[np.integer], seed: int
) -> Spread | None:
    """The spread of recall over halves of the generated images, half of each group (emotion) [n]; None with too few for balls in a half."""
    order = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if len(groups) < 2 * (neighbours + 1) - 1 or min(map(len, order)) < 2:
        return None
    generator, values = np.random.default_rng((seed, len(groups))), np.empty(HALVES)
    for number in range(HALVES):
        kept = np.full(len(groups), False)
        for members in order:
            up = generator.random() < 0.5  # of an odd number, the larger half as often as the smaller
            kept[generator.permutation(members)[: (len(members) + up) // 2]] = True
        values[number] = recall(pairs, nearest, real, neighbours, kept)
    return Spread(float(values.std(ddof=1)), float(len(groups) - len(order)))
