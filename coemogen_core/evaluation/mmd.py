"""The maximum mean discrepancy of two sets by the unbiased estimator (Gretton et al. 2012, equation 3), and without each image of one set.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)

No vector meets itself, so the value does not depend on the number of images on average, and may fall slightly below 0. What changes
without an image are the sums that it takes part in: all n values without one of n images cost a subtraction each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINIMUM_IMAGES = 2

Floats = NDArray[np.floating]
Blocks = Iterable[tuple[slice, NDArray[np.float64]]]
Kernel = Callable[[Floats, Floats], Blocks]
"""Blocks of rows [b, d] of the first set and their kernel values [b, m] with the whole second one."""


@dataclass(frozen=True)
class Discrepancy:
    """The value, and the values [n] without each image of the first set; NaN where one image is left of it."""

    value: float
    left_out: NDArray[np.float64]


def unbiased_discrepancy(generated: Floats, reference: Floats, kernel: Kernel) -> Discrepancy:
    """MMD^2 of vectors [n, d] and [m, d].

    Raises:
        ValueError: a set has fewer than two vectors, or they differ in width.
    """
    if min(len(generated), len(reference)) < MINIMUM_IMAGES or generated.shape[1] != reference.shape[1]:
        raise ValueError(f"a discrepancy needs 2 vectors of equal width in each set, got {generated.shape} and {reference.shape}")
    count, own, real = len(generated), _sums_without_itself(generated, kernel), _sums_without_itself(reference, kernel)
    across = np.concatenate([block.mean(axis=1) for _, block in kernel(generated, reference)])
    constant = real.sum() / (len(reference) * (len(reference) - 1))
    value = own.sum() / (count * (count - 1)) + constant - 2 * across.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (own.sum() - 2 * own) / ((count - 1) * np.float64(count - 2))
    return Discrepancy(float(value), pairs + constant - 2 * (across.sum() - across) / (count - 1))


def _sums_without_itself(vectors: Floats, kernel: Kernel) -> NDArray[np.float64]:
    """Sum of the kernel of every vector with all others, [n]."""
    sums = np.empty(len(vectors))
    for part, block in kernel(vectors, vectors):
        sums[part] = block.sum(axis=1) - block[np.arange(len(block)), np.arange(part.start, part.stop)]
    return sums
