"""Sem-C: semantic clarity, the mean over images of max(top-1 probability of an object, top-1 probability of a scene).

EmoGen's and the paper's definition with ResNet-50 on ImageNet and on Places365. An image is clear when one of the two
classifiers is sure what it shows; what that is does not matter.
"""

import numpy as np
from numpy.typing import NDArray


def clarity(object_top1: NDArray[np.floating], scene_top1: NDArray[np.floating]) -> NDArray[np.float64]:
    """Clarity of every image [n], between 0 and 1, from the largest object and scene probabilities [n]."""
    return np.maximum(object_top1, scene_top1).astype(np.float64)


def mean_or_none(values: NDArray[np.floating]) -> float | None:
    """Mean of the values, None when there are none."""
    return float(np.mean(values, dtype=np.float64)) if len(values) else None


def resampled_means(values: NDArray[np.floating], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of every resample, from values [n] and counts [R, n]."""
    return counts @ values.astype(np.float64) / counts.sum(axis=1)
