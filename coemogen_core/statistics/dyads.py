"""Intervals of means over pairs of images, of which an image may stand in several.

Two pairs with an image in common are alike, so ten of them say less than ten numbers drawn apart. The variance of their mean is the sum
over all pairs of pairs with a common image of the products of their deviations (Aronow, Samii & Assenova 2015, "Cluster-robust variance
estimation for dyadic data", equation 2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from schemas.metrics import Interval


@dataclass(frozen=True)
class Pairs:
    """Which images p pairs are of, and in which group (emotion) each counts; groups count equally."""

    left: NDArray[np.integer]  # [p]
    right: NDArray[np.integer]  # [p]
    groups: NDArray[np.integer]  # [p]

    def of(self, members: NDArray[np.bool_]) -> "Pairs":
        """Some of them, given as a mask [p]."""
        return Pairs(self.left[members], self.right[members], self.groups[members])

    def sums(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum over the pairs of every image, [images]."""
        images, places = np.unique(np.concatenate([self.left, self.right]), return_inverse=True)
        sums: NDArray[np.float64] = np.bincount(places, np.concatenate([values, values]), minlength=len(images)).astype(np.float64)
        return sums


def pair_interval(values: NDArray[np.floating], pairs: Pairs, level: float, *, lowest: float = 0.0) -> Interval | None:
    """The interval of the mean over groups of their mean values [p]; None without a group of two pairs.

    Never narrower than that of pairs without a common image, which few pairs would make of a negative sum.
    """
    present, counts = np.unique(pairs.groups, return_counts=True)
    if not len(present) or counts.max() < 2:
        return None
    own = np.searchsorted(present, pairs.groups)
    means = np.bincount(own, values) / counts
    alone, freedom = np.transpose([_apart(pairs.of(own == index)) for index in range(len(present))])
    deviations = (values - means[own]) * (np.sqrt(alone / (alone - 1).clip(0.25)) / (counts * len(present)))[own]
    apart = float(deviations @ deviations)
    variance = max(float((pairs.sums(deviations) ** 2).sum()) - apart, apart)  # both images of a pair count its own product
    reach = float(stats.t.ppf((1 + level) / 2, freedom.sum())) * variance**0.5
    value = float(means.mean())
    return Interval(low=max(value - reach, lowest), high=value + reach)


def _apart(pairs: Pairs) -> tuple[float, int]:
    """How many pairs without a common image a group's pairs are worth for the spread around their own mean; and degrees of freedom."""
    count, of_image = len(pairs.left), pairs.sums(np.ones(len(pairs.left)))
    alike = float((of_image**2).sum()) / count - 1  # pairs that a pair shares an image with, itself included
    return count / alike, max(min(count, len(of_image)) - 1, 1)
