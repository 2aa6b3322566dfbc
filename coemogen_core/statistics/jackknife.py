"""Intervals from leaving out one image at a time (Efron & Tibshirani, An Introduction to the Bootstrap, chapter 11), strata by emotion.

Where a metric can be recomputed in closed form without an image, n of these recomputations replace a thousand resamples. No image is
repeated, so neither a covariance nor a neighbourhood is that of another kind of set; nothing is drawn, and the time is that of one value.

The standard error is at least the true one on average (Efron & Stein 1981): the interval may be a little too wide, and not too narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from schemas.metrics import Interval


@dataclass(frozen=True)
class Spread:
    """How far a metric would be off with other images, and from how many images that is known."""

    standard_error: float
    degrees_of_freedom: float
    """Satterthwaite's: those of Student's distribution that the error follows, at most images - strata."""


def left_out_means(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean of values [n] without each of them, [n]."""
    found: NDArray[np.float64] = (values.sum(dtype=np.float64) - values) / (len(values) - 1)
    return found


def spread(left_out: NDArray[np.floating], groups: NDArray[np.integer]) -> Spread:
    """Standard error of a metric from its values [n] without each image, within groups (emotions) [n] of fixed size.

    Without an image, the others of its group would have to count for it, as the sizes are fixed: deviations are scaled to that.

    Raises:
        ValueError: a group has one image only, whose spread is unknown.
    """
    variances, freedoms = [], []
    for group in np.unique(groups):
        own = left_out[groups == group].astype(np.float64)
        if len(own) < 2:
            raise ValueError(f"group {group} has one image: a standard error needs two of each group")
        scale = (1 - 1 / len(left_out)) / (1 - 1 / len(own))
        variances.append(float((len(own) - 1) / len(own) * np.sum((scale * (own - own.mean())) ** 2)))
        freedoms.append(len(own) - 1)
    total, weights = sum(variances), sum(variance**2 / freedom for variance, freedom in zip(variances, freedoms, strict=True))
    return Spread(total**0.5, total**2 / weights if weights > 0 else float(sum(freedoms)))


def student_interval(value: float, error: Spread, level: float, lowest: float | None = None) -> Interval:
    """The value and so many standard errors on either side, cut at the smallest value that the metric can have."""
    reach = float(stats.t.ppf((1 + level) / 2, error.degrees_of_freedom)) * error.standard_error
    return Interval(low=value - reach if lowest is None else max(value - reach, lowest), high=value + reach)
