"""KID: the maximum mean discrepancy of FID's features with a cubic kernel (Bińkowski et al. 2018, "Demystifying MMD GANs", section 4).

    k(x, y) = (x . y / d + 1)^3

The estimator is the unbiased one (`mmd`), so KID does not grow as sets get smaller: where FID of two hundred images is mostly bias, KID is
not. torch-fidelity reports the mean over random subsets of 1,000 images; here all pairs are taken, which is that mean without its noise.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation import pairwise
from coemogen_core.evaluation.mmd import Discrepancy, unbiased_discrepancy
from coemogen_core.evaluation.pairwise import evenly_thinned

Floats = NDArray[np.floating]


def discrepancy(generated: Floats, reference: Floats) -> Discrepancy:
    """KID of features [n, d] and [m, d]; of larger sets, the `evenly_thinned` ones.

    Raises:
        ValueError: a set has fewer than two vectors, or they differ in width.
    """
    x, y = (vectors[evenly_thinned(len(vectors))].astype(np.float64) for vectors in (generated, reference))
    return unbiased_discrepancy(x, y, _cubic)


def _cubic(rows: Floats, columns: Floats) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    step = max(1, pairwise.BLOCK_VALUES // len(columns))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        base = rows[part] @ columns.T / rows.shape[1] + 1
        yield part, base * base * base  # a power of floats takes ten times as long
