"""Precision, recall (Kynkaanniemi et al. 2019, equations 1 and 2), density and coverage (Naeem et al. 2020, equations 3 and 4).

A set's manifold is the union of balls around its vectors, each as large as the distance to its k-th nearest neighbour. Precision is the
share of generated images within the manifold of the real ones (are they realistic?), recall the share of real images within that
of the generated ones (are all kinds of them there?). Density counts in how many balls of real images a generated one lies, so that one
outlier among the real ones does not make everything realistic; coverage is the share of real images that have a generated one in their
ball. k is 3 for the first two, as in torch-fidelity, and 5 for the others, as in prdc.

All four depend on how many images there are: the more real ones, the smaller their balls. So the larger set is thinned, by a seeded draw,
to as many images as the smaller one has. The published metrics look at VGG-16; here FID's features serve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation import recall_halves
from coemogen_core.evaluation.balance import shares_kept
from coemogen_core.evaluation.pairwise import PAIR_LIMIT, squared_distances
from coemogen_core.statistics import jackknife
from coemogen_core.statistics.jackknife import Spread, left_out_means

NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
MINIMUM_IMAGES, DENSITY_MINIMUM = NEIGHBOURS + 1, DENSITY_NEIGHBOURS + 1

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ManifoldNumber:
    """One of the four numbers, and how far other generated images would move it; None where they are too few to say."""

    value: float
    spread: Spread | None


@dataclass(frozen=True)
class ManifoldNumbers:
    """The four numbers, and which of the generated images they are of, [n] indices in order."""

    kept: NDArray[np.intp]
    precision: ManifoldNumber
    recall: ManifoldNumber
    density: ManifoldNumber
    coverage: ManifoldNumber


def compare_manifolds(
    generated: Floats, reference: Floats, seed: int, groups: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None
) -> ManifoldNumbers:
    """Compare features [n, d] with [m, d], as many of both.

    Args:
        seed: of the draw from the larger set, and from both above `PAIR_LIMIT` images; and of the halves for recall.
        groups: emotions of both, [n] and [m], each of which keeps its share in the draw; None = one group.

    Raises:
        ValueError: a set has fewer than four vectors, or they differ in width. With fewer than six, density and coverage mean nothing.
    """
    if min(len(generated), len(reference)) < MINIMUM_IMAGES or generated.shape[1] != reference.shape[1]:
        raise ValueError(
            f"precision and recall need {MINIMUM_IMAGES} images in each set, got features {generated.shape} and {reference.shape}"
        )
    first, second = groups if groups is not None else (np.zeros(len(vectors), np.intp) for vectors in (generated, reference))
    kept, kept_real = equally_many(first, second, seed)
    x, y, own_groups = generated[kept], reference[kept_real], first[kept]
    own, real = neighbourhoods(x, recall_halves.REACH), neighbourhoods(y, DENSITY_NEIGHBOURS)
    precise, dense, covered = np.zeros(len(x), dtype=bool), np.zeros(len(x)), np.zeros(len(x) + 1)
    near: list[recall_halves.Near] = []
    for part, distances in squared_distances(y, x):
        precise |= (distances <= real.radii(NEIGHBOURS)[part, None]).any(axis=0)
        inside = distances <= real.radii(DENSITY_NEIGHBOURS)[part, None]
        dense += inside.sum(axis=0) / DENSITY_NEIGHBOURS
        covered += _covered(inside)
        near.append(recall_halves.near(distances, own.squares, part.start))
    recalled = recall_halves.recall(near, own.nearest, len(y), NEIGHBOURS)
    return ManifoldNumbers(
        kept,
        precision=_number(float(precise.mean()), left_out_means(precise), own_groups),
        recall=ManifoldNumber(recalled, recall_halves.spread(near, own.nearest, len(y), NEIGHBOURS, own_groups, seed)),
        density=_number(float(dense.mean()), left_out_means(dense), own_groups),
        coverage=_number(covered[0] / len(y), (covered[0] - covered[1:]) / len(y), own_groups),
    )


def _number(value: float, left_out: NDArray[np.float64], groups: NDArray[np.integer]) -> ManifoldNumber:
    """A number by its values without each generated image: the real balls stay, whichever images are compared with them."""
    known = np.unique(groups, return_counts=True)[1].min() > 1
    return ManifoldNumber(float(value), jackknife.spread(left_out, groups) if known else None)


def _covered(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many rows have an image inside, and how many of them have no other than each of the columns: [1 + columns]."""
    by = inside.sum(axis=1)
    only = inside[by == 1].argmax(axis=1)
    return np.concatenate([[float((by > 0).sum())], np.bincount(only, minlength=inside.shape[1])])


def equally_many(first: NDArray[np.integer], second: NDArray[np.integer], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices, in order, of as many of the first as of the second set, given as groups (emotions) [n] and [m].

    Of the larger set a seeded draw without replacement, in which every group keeps its share.
    """
    wanted = min(len(first), len(second), PAIR_LIMIT)
    kept, kept_real = (shares_kept(groups, wanted, np.random.default_rng((seed, len(groups)))) for groups in (first, second))
    return kept, kept_real


@dataclass(frozen=True)
class Neighbourhoods:
    """The nearest other vectors of every one: their indices [n, k] and squared distances [n, k], nearest first."""

    nearest: NDArray[np.intp]
    squares: NDArray[np.float64]

    def radii(self, neighbours: int) -> NDArray[np.float64]:
        """Squared distance of every vector to that nearest other one, or to the last that there is, [n]."""
        return self.squares[:, min(neighbours, self.squares.shape[1]) - 1]


def neighbourhoods(features: Floats, most: int) -> Neighbourhoods:
    """The neighbourhoods of vectors [n, d] among themselves, of up to so many neighbours."""
    count = min(most, len(features) - 1)
    nearest, squares = np.empty((len(features), count), dtype=np.intp), np.empty((len(features), count))
    for part, distances in squared_distances(features, features):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf  # not to itself
        first = np.argpartition(distances, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(distances, first, axis=1)
        order = np.argsort(found, axis=1)
        nearest[part], squares[part] = (np.take_along_axis(values, order, axis=1) for values in (first, found))
    return Neighbourhoods(nearest, squares)
