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

from coemogen_core.evaluation.pairwise import PAIR_LIMIT, squared_distances

NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
MINIMUM_IMAGES, DENSITY_MINIMUM = NEIGHBOURS + 1, DENSITY_NEIGHBOURS + 1

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ManifoldNumbers:
    """The four numbers, and the same of resamples [R] of the generated images."""

    precision: float
    recall: float
    density: float
    coverage: float
    resampled_precision: NDArray[np.float64]
    resampled_recall: NDArray[np.float64]
    resampled_density: NDArray[np.float64]
    resampled_coverage: NDArray[np.float64]


def compare_manifolds(generated: Floats, reference: Floats, counts: NDArray[np.float64], seed: int) -> ManifoldNumbers:
    """Compare features [n, d] with [m, d], as many of both, and resamples of the generated ones given as rows of counts [R, n].

    The radii of both manifolds stay those of the whole sets. A resample misses a third of the images and their balls, so its recall and
    coverage are too low on average: see `bootstrap.centred_interval`.

    Args:
        seed: of the draw from the larger set, and from both above `PAIR_LIMIT` images.

    Raises:
        ValueError: a set has fewer than four vectors, or they differ in width. With fewer than six, density and coverage mean nothing.
    """
    if min(len(generated), len(reference)) < MINIMUM_IMAGES or generated.shape[1] != reference.shape[1]:
        raise ValueError(
            f"precision and recall need {MINIMUM_IMAGES} images in each set, got features {generated.shape} and {reference.shape}"
        )
    kept, kept_real = equally_many(len(generated), len(reference), seed)
    x, y, drawn = generated[kept], reference[kept_real], counts[:, kept]
    (real_radii, real_wide), (own_radii, _) = squared_radii(y), squared_radii(x)
    present = np.vstack([np.ones(len(x)), drawn > 0]).astype(np.float32)
    precise, dense = np.zeros(len(x), dtype=bool), np.zeros(len(x))
    recalled, covered = np.zeros(len(present)), np.zeros(len(present))
    for part, distances in squared_distances(y, x):
        precise |= (distances <= real_radii[part, None]).any(axis=0)
        inside = distances <= real_wide[part, None]
        dense += inside.sum(axis=0) / DENSITY_NEIGHBOURS
        recalled += (present @ (distances <= own_radii).T.astype(np.float32) > 0).sum(axis=1)
        covered += (present @ inside.T.astype(np.float32) > 0).sum(axis=1)
    recalled, covered, weights = recalled / len(y), covered / len(y), drawn.sum(axis=1)
    values = float(precise.mean()), float(recalled[0]), float(dense.mean()), float(covered[0])
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample of which nothing was kept has no precision
        return ManifoldNumbers(*values, drawn @ precise / weights, recalled[1:], drawn @ dense / weights, covered[1:])


def equally_many(first: int, second: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices, in order, of as many of `first` as of `second` things: of the larger set a seeded draw without replacement."""
    wanted = min(first, second, PAIR_LIMIT)
    draws = [np.random.default_rng((seed, count)).permutation(count)[:wanted] for count in (first, second)]
    return np.sort(draws[0]), np.sort(draws[1])


def squared_radii(features: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared distance of every vector [n, d] to its third and to its fifth nearest other one, [n] each."""
    third, fifth = np.empty(len(features)), np.empty(len(features))
    last = min(DENSITY_NEIGHBOURS, len(features) - 1) - 1
    for part, distances in squared_distances(features, features):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf  # not to itself
        nearest = np.partition(distances, (NEIGHBOURS - 1, last), axis=1)
        third[part], fifth[part] = nearest[:, NEIGHBOURS - 1], nearest[:, last]
    return third, fifth
