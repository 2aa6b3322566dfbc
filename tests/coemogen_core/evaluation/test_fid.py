"""The Frechet distance against scipy's matrix square root and against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from coemogen_core.evaluation import fid
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.statistics import jackknife


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


def apart(features: np.ndarray, reference: np.ndarray) -> list[float]:
    """The distances without each image, one by one."""
    return [distance(np.delete(features, index, axis=0), reference) for index in range(len(features))]


@pytest.mark.parametrize(
    ("count", "dim", "real"),
    [(80, 12, 60), (20, 40, 60), (41, 40, 300), (30, 24, 9), (3, 8, 40)],
    ids=["full rank", "fewer images than features", "as many as features", "few real images", "three images"],
)
def test_distances_without_an_image_are_those_of_the_others(rng: np.random.Generator, count: int, dim: int, real: int) -> None:
    features, reference = correlated(rng, count, dim, 0.2), correlated(rng, real, dim, 0.0)
    expected = apart(features, reference)
    found = fid.left_out_distances(features, fid.gaussian_statistics(reference))
    assert found == pytest.approx(expected, abs=1e-3 * float(np.std(expected)))


def test_without_an_image_that_is_there_twice_or_among_equal_ones(rng: np.random.Generator) -> None:
    """Nothing is lost with one of two equal images, where others each have a direction of their own."""
    reference = correlated(rng, 50, 8, 0.0)
    pairs = np.repeat(rng.normal(size=(4, 8)), 2, axis=0)
    pairs[7] += 1
    assert fid.left_out_distances(pairs, fid.gaussian_statistics(reference)) == pytest.approx(apart(pairs, reference), rel=1e-4)
    equal = np.ones((6, 8))
    assert fid.left_out_distances(equal, fid.gaussian_statistics(reference)) == pytest.approx(apart(equal, reference), rel=1e-9)
    with pytest.raises(ValueError, match="at least 3 images"):
        fid.left_out_distances(equal[:2], fid.gaussian_statistics(reference))


def test_the_standard_error_is_the_spread_of_the_distance_where_images_are_few(rng: np.random.Generator) -> None:
    """Twice as many images as features: resamples, with a third of the images missing, spread half as much again."""
    reference = fid.gaussian_statistics(rng.normal(size=(500, 30)))
    sets = rng.normal(size=(150, 60, 30)) * 1.1 + 0.2
    values = [fid.frechet_distance(fid.gaussian_statistics(features), reference) for features in sets]
    errors = [jackknife.spread(fid.left_out_distances(features, reference), np.zeros(60, int)).standard_error for features in sets]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)
