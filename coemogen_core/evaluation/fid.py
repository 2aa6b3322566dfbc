"""Frechet distance between two sets of features (FID; Heusel et al. 2017, equation 6).

    FID = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

The last trace is computed as the nuclear norm of F1 F2^T, where C = F^T F: singular values of a product of factors keep
full precision where the covariances have no full rank (fewer images than features), and no complex square root appears.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Floats = NDArray[np.floating]
ROWS_PER_BLOCK = 4096
RESAMPLING_BUDGET = 4e12
"""Floating-point operations that resampling may cost: about a minute on two cores; it bounds the resamples at 2,048 features."""


@dataclass(frozen=True)
class GaussianStatistics:
    """Mean [d] and a factor F [r, d] of the unbiased covariance, C = F^T F, of `count` feature vectors."""

    count: int
    mean: NDArray[np.float64]
    factor: NDArray[np.float64]

    @cached_property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance [d, d]."""
        return self.factor.T @ self.factor

    @property
    def total_variance(self) -> float:
        """Trace of the covariance."""
        return float(np.sum(self.factor**2))


def gaussian_statistics(features: Floats) -> GaussianStatistics:
    """Statistics of features [n, d], in float64.

    Raises:
        ValueError: fewer than two vectors (no covariance), or a feature is not finite.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"FID needs at least 2 images in each set, got features of shape {features.shape}")
    count, dim = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("FID features hold values that are not finite: check the feature extractor")
    if count <= dim:
        return GaussianStatistics(count, mean, (features - mean) / np.sqrt(count - 1))
    return GaussianStatistics(count, mean, _factor(_covariance(features, mean)))


def frechet_distance(first: GaussianStatistics, second: GaussianStatistics) -> float:
    """Squared Frechet (2-Wasserstein) distance between two Gaussians, at least 0."""
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features of {len(first.mean)} and {len(second.mean)} numbers: both sets need the same extractor")
    offset = first.mean - second.mean
    overlap = linalg.svdvals(first.factor @ second.factor.T, check_finite=False).sum()
    return max(float(offset @ offset + first.total_variance + second.total_variance - 2 * overlap), 0.0)


def resampled_distances(features: Floats, counts: NDArray[np.float64], reference: GaussianStatistics) -> NDArray[np.float64]:
    """Distances of resamples of `features` [n, d] to fixed reference statistics; one for every row of counts [R, n].

    A resample has more repeated images than a sample, so these values are too large on average: see `centred_interval`.
    """
    offsets = np.asarray(features, dtype=np.float64) - reference.mean
    projected = offsets @ reference.factor.T
    squares = np.einsum("nd,nd->n", offsets, offsets)
    return np.array([_resampled_distance(offsets, projected, squares, row, reference) for row in counts])


def affordable_resamples(features: Floats, reference: GaussianStatistics, resamples: int, sharing: int = 1) -> int:
    """How many of the wanted resamples fit the budget, which is shared by so many sets of features; at least 20."""
    smaller, larger = sorted((len(features), len(reference.factor)))
    cost = 1 + smaller**2 * larger + 10 * smaller**3  # equal reference images have a covariance of rank 0
    return max(min(resamples, int(RESAMPLING_BUDGET / sharing / cost)), min(resamples, 20))


def _resampled_distance(
    offsets: NDArray[np.float64],
    projected: NDArray[np.float64],
    squares: NDArray[np.float64],
    counts: NDArray[np.float64],
    reference: GaussianStatistics,
) -> float:
    drawn = counts > 0
    weights, total = counts[drawn], counts.sum()
    mean = weights @ offsets[drawn] / total
    variance = (weights @ squares[drawn] - total * mean @ mean) / (total - 1)
    centred = (projected[drawn] - weights @ projected[drawn] / total) * np.sqrt(weights / (total - 1))[:, None]
    narrow = centred if centred.shape[0] >= centred.shape[1] else centred.T
    overlap = np.sqrt(linalg.eigvalsh(narrow.T @ narrow, check_finite=False).clip(0)).sum()
    return float(mean @ mean + variance + reference.total_variance - 2 * overlap)


def _covariance(features: Floats, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper triangle of the unbiased covariance, accumulated in blocks of rows so that no float64 copy of all features is made.

    A symmetric product (BLAS `syrk`) takes half of the operations of a general one.
    """
    dim = features.shape[1]
    total = np.zeros((dim, dim), order="F")
    for start in range(0, len(features), ROWS_PER_BLOCK):
        centred = features[start : start + ROWS_PER_BLOCK] - mean
        total = linalg.blas.dsyrk(1.0, centred.T, beta=1.0, c=total, overwrite_c=True)
    return total / (len(features) - 1)


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """F with F^T F = C, from C's upper triangle: Cholesky where C has full rank, else eigenvectors without those of rounding noise."""
    try:
        return linalg.cholesky(covariance, lower=False, check_finite=False)
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(covariance, lower=False, check_finite=False)
        solid = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
        return np.sqrt(values[solid])[:, None] * vectors[:, solid].T
