"""The Frechet distance against scipy's matrix square root and against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from coemogen_core.evaluation import fid
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.statistics import bootstrap


def textbook_fid(first: np.ndarray, second: np.ndarray) -> float:
    """The formula as torch-fidelity computes it: numpy covariances and scipy.linalg.sqrtm."""
    offset = first.mean(0) - second.mean(0)
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = linalg.sqrtm(c1 @ c2)
    return float(offset @ offset + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return fid.frechet_distance(fid.gaussian_statistics(first), fid.gaussian_statistics(second))


def correlated(generator: np.random.Generator, count: int, dim: int, shift: float) -> np.ndarray:
    return generator.normal(size=(count, dim)) @ generator.normal(size=(dim, dim)) + shift


def test_agrees_with_the_matrix_square_root(rng: np.random.Generator) -> None:
    first, second = correlated(rng, 400, 24, 0.0), correlated(rng, 300, 24, 0.5)
    assert distance(first, second) == pytest.approx(textbook_fid(first, second), rel=1e-9)


def test_agrees_in_single_precision_features(rng: np.random.Generator) -> None:
    first, second = (correlated(rng, 200, 16, shift).astype(np.float32) for shift in (0.0, 1.0))
    assert distance(first, second) == pytest.approx(textbook_fid(first.astype(float), second.astype(float)), rel=tolerance("fid"))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(-2, 2))
def test_analytic_case_of_two_gaussians_with_diagonal_covariance(seed: int, a: float, b: float, shift: float) -> None:
    noise = np.random.default_rng(seed).normal(size=(64, 5))
    white = linalg.qr(noise - noise.mean(0), mode="economic")[0] * np.sqrt(63)  # mean 0 and covariance 1 to rounding
    assert distance(a * white, b * white + shift) == pytest.approx(5 * ((a - b) ** 2 + shift**2), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n1", "n2", "dim"), [(2, 2, 64), (10, 300, 64), (50, 40, 128), (65, 64, 64)])
def test_fewer_images_than_features(rng: np.random.Generator, n1: int, n2: int, dim: int) -> None:
    """Exact value from the Gram matrices: the nuclear norm of X1 X2^T, where sqrtm loses its digits."""
    first, second = rng.normal(size=(n1, dim)), rng.normal(size=(n2, dim)) + 0.3
    a, b = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (first, second))
    offset = first.mean(0) - second.mean(0)
    exact = offset @ offset + (a**2).sum() + (b**2).sum() - 2 * np.linalg.norm(a @ b.T, "nuc")
    assert distance(first, second) == pytest.approx(exact, rel=tolerance("fid"))


def test_a_set_against_itself_is_zero_even_where_features_are_constant(rng: np.random.Generator) -> None:
    features = rng.normal(size=(200, 32))
    features[:, 10:] = 1.5  # rank 10 of 32 with more images than features: Cholesky fails here
    assert distance(features, features) == pytest.approx(0, abs=1e-10)
    assert distance(features, features + 2) == pytest.approx(32 * 4, rel=1e-9)


def test_identical_images_give_a_number() -> None:
    assert distance(np.ones((5, 8)), np.ones((7, 8))) == 0.0


def test_one_image_or_broken_features_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 images"):
        fid.gaussian_statistics(np.ones((1, 8)))
    with pytest.raises(ValueError, match="not finite"):
        fid.gaussian_statistics(np.full((4, 8), np.nan))
    with pytest.raises(ValueError, match="same extractor"):
        distance(np.ones((5, 8)), np.ones((5, 9)))


@pytest.mark.parametrize(("count", "dim"), [(80, 12), (20, 40)])
def test_resampled_distance_is_that_of_the_repeated_images(rng: np.random.Generator, count: int, dim: int) -> None:
    features, reference = rng.normal(size=(count, dim)), rng.normal(size=(60, dim)) + 0.2
    statistics = fid.gaussian_statistics(reference)
    counts = bootstrap.resample_counts(np.zeros(count, int), 5, seed=1)
    for row, value in zip(counts, fid.resampled_distances(features, counts, statistics), strict=True):
        assert value == pytest.approx(distance(np.repeat(features, row.astype(int), axis=0), reference), rel=tolerance("fid"))


def test_the_interval_is_centred_because_resampling_inflates_the_distance(rng: np.random.Generator) -> None:
    reference = fid.gaussian_statistics(rng.normal(size=(500, 30)))
    features = rng.normal(size=(120, 30)) * 1.1
    value = fid.frechet_distance(fid.gaussian_statistics(features), reference)
    resampled = fid.resampled_distances(features, bootstrap.resample_counts(np.zeros(120, int), 200, 0), reference)
    assert resampled.mean() > value
    interval = bootstrap.centred_interval(value, resampled, 0.95)
    assert interval is not None
    assert interval.low < value < interval.high
    assert fid.affordable_resamples(np.zeros((8000, 2048)), fid.gaussian_statistics(rng.normal(size=(50, 4))), 1000) == 1000
