"""A map of pictures in two dimensions: the first two principal components of the real pictures' embeddings, for all sets alike.

Principal components and not t-SNE: the same picture lies in the same place whichever methods are shown beside it, distances mean the same
everywhere, and no set is fitted to labels, which would draw clusters that are not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class EmbeddingMap:
    """Positions [n, 2] of every set's pictures, and the share of the fitted set's variance that the two axes show, 0 to 1."""

    positions: list[NDArray[np.float64]]
    variance: float


def map_embeddings(sets: Sequence[Floats], fitted: Floats) -> EmbeddingMap | None:
    """Project sets of embeddings [n, d] on the first two principal components of the `fitted` one; None where it has fewer than three."""
    if len(fitted) < 3 or fitted.shape[1] < 2:
        return None
    with np.errstate(invalid="ignore"):  # equal pictures have no variance to share out
        components = PCA(2, svd_solver="full").fit(fitted.astype(np.float64))
    variance = float(np.nan_to_num(components.explained_variance_ratio_).sum())
    return EmbeddingMap([components.transform(values.astype(np.float64)) if len(values) else np.empty((0, 2)) for values in sets], variance)


def draw_rows(emotions: NDArray[np.integer], per_emotion: int, seed: int) -> NDArray[np.intp]:
    """Rows of at most `per_emotion` pictures of every emotion: a seeded draw, sorted."""
    order = np.random.default_rng(seed).permutation(len(emotions))
    return np.sort(np.concatenate([order[emotions[order] == emotion][:per_emotion] for emotion in np.unique(emotions)]).astype(np.intp))
