"""CMMD: the maximum mean discrepancy of CLIP embeddings (Jayasumana et al. 2024, "Rethinking FID", section 4).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

of unit-length embeddings, sigma = 10, times 1,000 as in the authors' code. The estimator is the unbiased one (no vector meets itself):
unlike FID it does not depend on the number of images on average, assumes no Gaussian, and may fall slightly below 0.
k lies between 0.98 and 1 here, so sums are of 1 - k: the ones cancel anyway, and would take digits with them.
"""

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation.pairwise import evenly_thinned, squared_distances, unit_length

SIGMA = 10.0
SCALE = 1000.0
MINIMUM_IMAGES = 2

Floats = NDArray[np.floating]


def resampled_discrepancies(generated: Floats, reference: Floats, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """CMMD of resamples of generated embeddings [n, d], of any length, to a fixed reference [m, d]; one for every row of counts [R, n].

    Two draws of one image make no pair, as in Sem-D; NaN where a resample consists of one image only.

    Raises:
        ValueError: a set has fewer than two embeddings, or they differ in width.
    """
    if min(len(generated), len(reference)) < MINIMUM_IMAGES or generated.shape[1] != reference.shape[1]:
        raise ValueError(f"CMMD needs 2 embeddings of equal width in each set, got {generated.shape} and {reference.shape}")
    x, y = (unit_length(vectors[evenly_thinned(len(vectors))].astype(np.float64)) for vectors in (generated, reference))
    drawn = counts[:, evenly_thinned(len(generated))]
    total = drawn.sum(axis=1)
    between = drawn @ np.concatenate([_dissimilarity(block).mean(axis=1) for _, block in squared_distances(x, y)])
    within, pairs = np.zeros(len(drawn)), total**2 - (drawn**2).sum(axis=1)
    for part, block in squared_distances(x, x):
        within += np.einsum("rb,rb->r", drawn[:, part], drawn @ _dissimilarity(block).T)
    real = sum(_dissimilarity(block).sum() for _, block in squared_distances(y, y)) / (len(y) * (len(y) - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, SCALE * (2 * between / total - within / pairs - real), np.nan)


def _dissimilarity(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - k, which is 0 for equal vectors: a vector and itself add nothing."""
    return -np.expm1(squares / (-2 * SIGMA**2))
