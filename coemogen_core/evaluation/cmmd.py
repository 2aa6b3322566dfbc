"""CMMD: the maximum mean discrepancy of CLIP embeddings (Jayasumana et al. 2024, "Rethinking FID", section 4).

    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

of unit-length embeddings, sigma = 10, times 1,000 as in the authors' code. The estimator is the unbiased one (`mmd`): unlike FID it does
not depend on the number of images on average, and it assumes no Gaussian.
k lies between 0.98 and 1 here, so sums are of k - 1: the ones cancel anyway, and would take digits with them.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation.mmd import Blocks, Discrepancy, unbiased_discrepancy
from coemogen_core.evaluation.pairwise import evenly_thinned, squared_distances, unit_length

SIGMA = 10.0
SCALE = 1000.0

Floats = NDArray[np.floating]


def discrepancy(generated: Floats, reference: Floats) -> Discrepancy:
    """CMMD of embeddings [n, d] and [m, d] of any length; of larger sets, the `evenly_thinned` ones.

    Raises:
        ValueError: a set has fewer than two embeddings, or they differ in width.
    """
    x, y = (unit_length(vectors[evenly_thinned(len(vectors))].astype(np.float64)) for vectors in (generated, reference))
    found = unbiased_discrepancy(x, y, _kernel_less_one)
    return replace(found, value=SCALE * found.value, left_out=SCALE * found.left_out)


def _kernel_less_one(rows: Floats, columns: Floats) -> Blocks:
    return ((part, np.expm1(squares / (-2 * SIGMA**2))) for part, squares in squared_distances(rows, columns))
