"""Percentile bootstrap over images, stratified by emotion.

A resample is a vector of counts: how often each image was drawn. Every metric here is a function of counts, so a thousand
resamples cost a few matrix products and no image is looked at twice.
"""

import numpy as np
from numpy.typing import NDArray

from schemas.metrics import Estimate, Interval

MINIMUM_IMAGES = 5
"""Fewer images of an emotion say too little about their own spread for an interval."""


def resample_counts(groups: NDArray[np.integer], resamples: int, seed: int) -> NDArray[np.float64]:
    """Draw R resamples with replacement inside each group, so that every resample has the group sizes of the sample.

    Args:
        groups: group (emotion) index of every image, [n].

    Returns:
        Counts [R, n]; the counts of a group sum to its size in every row.
    """
    generator = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(groups)))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        counts[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=resamples)
    return counts


def mean_or_none(values: NDArray[np.floating]) -> float | None:
    """Mean of the values, None when there are none."""
    return float(np.mean(values, dtype=np.float64)) if len(values) else None


def resampled_means(values: NDArray[np.floating], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of every resample, from values [n] and counts [R, n]."""
    return counts @ values.astype(np.float64) / counts.sum(axis=1)


def percentile_interval(resampled: NDArray[np.floating], level: float) -> Interval | None:
    """The central `level` (e.g. 0.95) of the resampled values [R]; None when fewer than half of them are finite."""
    finite = resampled[np.isfinite(resampled)]
    if len(finite) == 0 or 2 * len(finite) < len(resampled):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high))


def centred_interval(
    value: float, resampled: NDArray[np.floating], level: float, *, lowest: float = 0.0, highest: float = np.inf
) -> Interval | None:
    """Percentile interval moved by the bootstrap's own bias, for metrics that resampling inflates or lowers.

    A resample repeats some images and misses others, so its covariance has lower rank and its Frechet distance is larger on
    average than that of the sample. The mean excess is subtracted (Efron & Tibshirani, An Introduction to the Bootstrap,
    chapter 10); the distance of the ends from each other stays. Never below `lowest` or above `highest`.
    """
    interval = percentile_interval(resampled, level)
    if interval is None:
        return None
    bias = float(np.mean(resampled[np.isfinite(resampled)])) - value
    low, high = (min(max(end - bias, lowest), highest) for end in (interval.low, interval.high))
    return Interval(low=low, high=high)


def too_few(groups: NDArray[np.integer], names: tuple[str, ...]) -> str | None:
    """Why a stratified interval cannot be had, or None when every group present has `MINIMUM_IMAGES` images."""
    if len(groups) == 0:
        return "not enough images: none"
    sizes = {names[group]: int((groups == group).sum()) for group in np.unique(groups)}
    small = [f"{name} has {size}" for name, size in sizes.items() if size < MINIMUM_IMAGES]
    return f"not enough images for an interval ({', '.join(small)}; needs {MINIMUM_IMAGES} each)" if small else None


def estimate(
    value: float | None, interval: Interval | None, *, images: int, resamples: int, extractor: str, reason: str | None
) -> Estimate:
    """Put a value and its interval together; a missing or non-finite value becomes null with a reason."""
    if value is None or not np.isfinite(value):
        return Estimate(value=None, images=images, extractor=extractor, reason=reason or "not enough images")
    if interval is None:
        return Estimate(value=value, images=images, extractor=extractor, reason=reason or "not enough images for an interval")
    return Estimate(value=value, low=interval.low, high=interval.high, images=images, resamples=resamples, extractor=extractor)
