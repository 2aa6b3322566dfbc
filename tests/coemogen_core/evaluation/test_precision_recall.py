"""Precision and recall of distributions on sets where the answer is known; other people's code: test_oracles.py."""

import numpy as np
import pytest

from coemogen_core.evaluation import pairwise, precision_recall
from coemogen_core.statistics import bootstrap


def measure(generated: np.ndarray, reference: np.ndarray, resamples: int = 50) -> precision_recall.ManifoldNumbers:
    counts = bootstrap.resample_counts(np.zeros(len(generated), int), resamples, seed=0)
    return precision_recall.compare_manifolds(generated, reference, counts, seed=0)


def test_a_copy_has_both_and_far_images_have_neither(rng: np.random.Generator) -> None:
    real = rng.normal(size=(80, 6))
    copied = measure(real, real)
    assert (copied.precision, copied.recall, copied.coverage) == (1.0, 1.0, 1.0)
    assert copied.density > 1
    far = measure(real + 100, real)
    assert (far.precision, far.recall, far.density, far.coverage) == (0.0, 0.0, 0.0, 0.0)
    assert (far.resampled_recall == 0).all()


def test_leaving_a_kind_out_costs_recall_and_not_precision(rng: np.random.Generator) -> None:
    real = np.concatenate([rng.normal(size=(100, 4)), rng.normal(size=(100, 4)) + 50])
    found = measure(np.concatenate([real[:100], real[:100]]) + 0.01, real)
    assert found.precision > 0.95
    assert found.recall == pytest.approx(0.5, abs=0.05)
    assert found.coverage == pytest.approx(0.5, abs=0.05)


def test_an_outlier_among_the_real_ones_makes_a_picture_precise_but_not_dense(rng: np.random.Generator) -> None:
    real = np.concatenate([rng.normal(size=(59, 4)), np.full((1, 4), 60.0)])
    found = measure(rng.normal(size=(60, 4)) + 30, real)
    assert found.precision == 1.0  # all of them lie in the outlier's ball
    assert found.density < 0.25


def test_identical_images_have_no_manifold_of_their_own(rng: np.random.Generator) -> None:
    real = rng.normal(size=(50, 4))
    found = measure(np.tile(real[:1], (50, 1)), real)
    assert found.precision == 1.0
    assert found.recall == pytest.approx(1 / 50)  # only the very image that is repeated


def test_blocks_change_nothing(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = rng.normal(size=(30, 5)) + 0.4, rng.normal(size=(40, 5))
    whole = measure(generated, real)
    monkeypatch.setattr(pairwise, "BLOCK_VALUES", 100)
    parts = measure(generated, real)
    assert (whole.precision, whole.recall, whole.coverage) == (parts.precision, parts.recall, parts.coverage)
    assert whole.density == pytest.approx(parts.density)
    assert np.array_equal(whole.resampled_recall, parts.resampled_recall)


def test_resamples_count_what_was_drawn(rng: np.random.Generator) -> None:
    """Recall of a resample is that of its own images with the balls of the whole set."""
    generated, real = rng.normal(size=(25, 3)), rng.normal(size=(25, 3)) + 0.5
    counts = bootstrap.resample_counts(np.zeros(25, int), 8, seed=1)
    found = precision_recall.compare_manifolds(generated, real, counts, seed=0)
    radii, _ = precision_recall.squared_radii(generated)
    inside = ((real[:, None] - generated) ** 2).sum(-1) <= radii
    for row, value in zip(counts, found.resampled_recall, strict=True):
        assert value == inside[:, row > 0].any(axis=1).mean()
    assert found.resampled_recall.mean() < found.recall
    interval = bootstrap.centred_interval(found.recall, found.resampled_recall, 0.95, highest=1.0)
    assert interval is not None
    assert 0 <= interval.low <= found.recall <= interval.high <= 1


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="need 4 images"):
        measure(np.ones((3, 2)), np.ones((9, 2)))
