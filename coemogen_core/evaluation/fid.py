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
STEP, BELOW, ABOVE = 0.75, 1e-5, 1e2
"""Steps of log t, and its ends in units of the smallest and of the largest singular value: 3e-4 of what leaving out an image changes."""
ROUNDING = 1e-9
"""Share of a vector below which it has no direction of its own."""


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


def left_out_distances(features: Floats, reference: GaussianStatistics) -> NDArray[np.float64]:
    """Distances to fixed reference statistics of `features` [n, d] without each of them: [n], from one eigenproblem.

    Without image i the covariance loses a matrix of rank one, and with A = F C F^T, q = F (x_i - m) and c = n / (n - 1)^2

        tr (A - c q q^T)^(1/2) = tr A^(1/2) + 1/pi int_0^inf log(1 - c q^T (A + t^2)^(-1) q) dt

    which is the matrix determinant lemma under the integral of the square root. The integral is a sum over `t` at equal steps of log t.

    Raises:
        ValueError: fewer than three vectors: without one, there is no covariance.
    """
    count = len(features)
    if count < 3:
        raise ValueError(f"FID without one image needs at least 3 images, got {count}")
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean
    squares = np.einsum("nd,nd->n", centred, centred)
    singular, shares = _directions(centred @ reference.factor.T)
    offsets = mean - reference.mean
    to_reference = offsets @ offsets - 2 * (centred @ offsets) / (count - 1) + squares / (count - 1) ** 2
    variance = (squares.sum() - count / (count - 1) * squares) / (count - 2)
    overlap = (singular.sum() + _overlap_lost(singular, shares, count)) / np.sqrt(count - 2)
    return to_reference + variance + reference.total_variance - 2 * overlap


def _directions(projected: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Singular values [k] that are not noise of centred vectors [n, r], and the squares of the left singular vectors [n, k].

    From the smaller Gram matrix: singular values below 1e-8 of the largest are lost, which add nothing to a standard error.
    """
    count, width = projected.shape
    gram = projected.T @ projected if width < count else projected @ projected.T
    values, vectors = linalg.eigh(gram, check_finite=False, overwrite_a=True)
    solid = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    singular, vectors = np.sqrt(values[solid]), vectors[:, solid]
    return singular, ((projected @ vectors / singular) if width < count else vectors) ** 2


def _overlap_lost(singular: NDArray[np.float64], shares: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The integral above for every image [n]: negative, times sqrt(n - 1) as the singular values are.

    The sum is of terms log(1 - a / t^2...) t that fall as t towards 0 and as 1 / t upwards, where the rest is a geometric series.
    """
    if not len(singular):
        return np.zeros(len(shares))
    places = np.exp(np.arange(np.log(BELOW * singular[0]), np.log(ABOVE * singular[-1]) + STEP, STEP))
    grow = count / (count - 1)
    outside = 1 - grow * shares.sum(axis=1)  # 0 where an image has a direction of its own, as all have where n <= r
    outside[outside < ROUNDING] = 0.0
    remaining = outside[:, None] + grow * shares @ (places**2 / (singular[:, None] ** 2 + places**2))
    terms = np.log(remaining) * places
    beyond = terms[:, -1] * np.exp(-STEP) / (1 - np.exp(-STEP))
    lost: NDArray[np.float64] = STEP / np.pi * (terms.sum(axis=1) + beyond)
    return lost


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
