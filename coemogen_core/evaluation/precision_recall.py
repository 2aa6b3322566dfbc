"""Precision and recall of distributions (Kynkaanniemi et al. 2019, "Improved precision and recall metric", equations 1 and 2).

A set's manifold is the union of balls around its vectors, each as large as the distance to its third nearest neighbour. Precision is the
share of generated images within the manifold of the real ones (are they realistic?), recall the share of real images within that
of the generated ones (are all kinds of them there?). The published metric looks at VGG-16; here FID's features serve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation.pairwise import evenly_thinned, squared_distances

NEIGHBOURS = 3
MINIMUM_IMAGES = NEIGHBOURS + 1

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class PrecisionRecall:
    """Both shares, and the same of resamples [R] of the generated images."""

    precision: float
    recall: float
    resampled_precision: NDArray[np.float64]
    resampled_recall: NDArray[np.float64]


def precision_recall(generated: Floats, reference: Floats, counts: NDArray[np.float64]) -> PrecisionRecall:
    """Precision and recall of features [n, d] against [m, d], and of resamples given as rows of counts [R, n].

    The radii of both manifolds stay those of the whole sets. A resample misses a third of the images and their balls, so its recall is too
    low on average: see `bootstrap.centred_interval`.

    Raises:
        ValueError: a set has fewer than four vectors, or they differ in width.
    """
    if min(len(generated), len(reference)) < MINIMUM_IMAGES or generated.shape[1] != reference.shape[1]:
        raise ValueError(
            f"precision and recall need {MINIMUM_IMAGES} images in each set, got features {generated.shape} and {reference.shape}"
        )
    kept = evenly_thinned(len(generated))
    x, y, drawn = generated[kept], reference[evenly_thinned(len(reference))], counts[:, kept]
    real_radii, own_radii = squared_radii(y), squared_radii(x)
    present = np.vstack([np.ones(len(x)), drawn > 0]).astype(np.float32)
    covered, recalled = np.zeros(len(x), dtype=bool), np.zeros(len(present))
    for part, distances in squared_distances(y, x):
        covered |= (distances <= real_radii[part, None]).any(axis=0)
        recalled += (present @ (distances <= own_radii).T.astype(np.float32) > 0).sum(axis=1)
    recalled /= len(y)
    return PrecisionRecall(float(covered.mean()), float(recalled[0]), drawn @ covered / drawn.sum(axis=1), recalled[1:])


def squared_radii(features: Floats) -> NDArray[np.float64]:
    """Squared distance of every vector [n, d] to its third nearest other one, [n]."""
    radii = np.empty(len(features))
    for part, distances in squared_distances(features, features):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf  # not to itself
        radii[part] = np.partition(distances, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
    return radii
