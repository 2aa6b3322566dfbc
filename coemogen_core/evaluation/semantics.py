"""EmoGen's two semantic metrics.

Sem-C, semantic clarity: is one of two classifiers sure what an image shows, whatever that is? The mean over images of
max(top-1 probability of an object, top-1 probability of a scene), in the paper by ResNet-50 on ImageNet and on Places365.

Sem-D, semantic diversity: the mean of (x - y)^2 over pairs of images of the same emotion and over the d dimensions of their embeddings.
Over *all* pairs of n images that is

    2 / (d (n - 1)) * (sum_i |x_i|^2 - |sum_i x_i|^2 / n)

twice the mean unbiased variance, so no pair is ever formed. Overall = mean over emotions. With unit-length embeddings
Sem-D = 2 (1 - mean cosine) / d, at most 2 n / (d (n - 1)).
"""

import numpy as np
from numpy.typing import NDArray


def clarity(object_top1: NDArray[np.floating], scene_top1: NDArray[np.floating]) -> NDArray[np.float64]:
    """Clarity of every image [n], between 0 and 1, from the largest object and scene probabilities [n]."""
    return np.maximum(object_top1, scene_top1).astype(np.float64)


def mean_pair_difference(embeddings: NDArray[np.floating]) -> float | None:
    """Sem-D of embeddings [n, d]; None for fewer than two."""
    if len(embeddings) < 2:
        return None
    return float(2 * embeddings.astype(np.float64).var(axis=0, ddof=1).mean())


def resampled_differences(embeddings: NDArray[np.floating], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sem-D of resamples, one for every row of counts [R, n]; NaN where a resample consists of one image only.

    Two draws of the same image make no pair: otherwise their zero difference would pull every resample down by 1 / n.
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0, dtype=np.float64)
    total = counts.sum(axis=1)
    sums = counts @ centred
    differences = total * (counts @ np.einsum("nd,nd->n", centred, centred)) - np.einsum("rd,rd->r", sums, sums)
    pairs = (total**2 - (counts**2).sum(axis=1)) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, differences.clip(0) / (pairs * embeddings.shape[1]), np.nan)
