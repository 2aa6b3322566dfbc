"""Precision and recall of distributions on sets where the answer is known; other people's code: test_oracles.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from coemogen_core.evaluation import pairwise, precision_recall, recall_halves
from coemogen_core.statistics.jackknife import spread

NAMES = ("precision", "recall", "density", "coverage")


def measure(generated: np.ndarray, reference: np.ndarray) -> SimpleNamespace:
    found = precision_recall.compare_manifolds(generated, reference, seed=0)
    return SimpleNamespace(**{name: getattr(found, name).value for name in NAMES}, found=found)


def test_a_copy_has_both_and_far_images_have_neither(rng: np.random.Generator) -> None:
    real = rng.normal(size=(80, 6))
    copied = measure(real, real)
    assert (copied.precision, copied.recall, copied.coverage) == (1.0, 1.0, 1.0)
    assert copied.density > 1
    far = measure(real + 100, real)
    assert (far.precision, far.recall, far.density, far.coverage) == (0.0, 0.0, 0.0, 0.0)


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
    assert whole.found.recall.spread == parts.found.recall.spread


def by_hand(generated: np.ndarray, reference: np.ndarray) -> list[float]:
    """The four numbers from all distances, as many of both or fewer generated ones."""
    distances = ((reference[:, None] - generated) ** 2).sum(-1)
    real, own = (precision_recall.neighbourhoods(vectors, 5) for vectors in (reference, generated))
    near, wide = distances <= real.radii(3)[:, None], distances <= real.radii(5)[:, None]
    return [near.any(0).mean(), (distances <= own.radii(3)).any(1).mean(), wide.sum(0).mean() / 5, wide.any(1).mean()]


@pytest.mark.parametrize(("count", "dim"), [(30, 3), (40, 6), (25, 1), (6, 3)])
def test_the_spread_is_of_the_values_without_an_image(rng: np.random.Generator, count: int, dim: int) -> None:
    generated, real = rng.normal(size=(count, dim)), rng.normal(size=(count, dim)) + 0.5
    found = precision_recall.compare_manifolds(generated, real, seed=0)
    assert [getattr(found, name).value for name in NAMES] == pytest.approx(by_hand(generated, real))
    left_out = np.array([by_hand(np.delete(generated, index, axis=0), real) for index in range(count)]).T
    for name, values in zip(NAMES, left_out, strict=True):
        if name != "recall":
            assert getattr(found, name).spread.standard_error == pytest.approx(spread(values, np.zeros(count, int)).standard_error)


def test_recall_of_a_half_is_that_of_its_images_alone(rng: np.random.Generator) -> None:
    """The balls of the half grow to its own third neighbours."""
    generated, real = rng.normal(size=(40, 4)), rng.normal(size=(50, 4)) + 0.3
    own = precision_recall.neighbourhoods(generated, recall_halves.REACH)
    distances = ((real[:, None] - generated) ** 2).sum(-1)
    pairs = [recall_halves.near(distances[:20], own.squares, 0), recall_halves.near(distances[20:], own.squares, 20)]
    for _ in range(20):
        kept = np.zeros(40, dtype=bool)
        kept[rng.permutation(40)[:20]] = True
        assert recall_halves.recall(pairs, own.nearest, 50, 3, kept) == by_hand(generated[kept], real)[1]


def test_the_standard_error_of_recall_is_its_spread(rng: np.random.Generator) -> None:
    """A bootstrap with the balls of the whole set sees six tenths of it here, and leaving one out sees half as much again."""
    real = rng.normal(size=(120, 12))
    found = [precision_recall.compare_manifolds(rng.normal(size=(120, 12)) + 0.6, real, seed=0).recall for _ in range(120)]
    errors = [one.spread.standard_error for one in found if one.spread is not None]
    assert np.mean(errors) == pytest.approx(np.std([one.value for one in found]), rel=0.2)


def test_a_draw_keeps_the_share_of_every_emotion(rng: np.random.Generator) -> None:
    real = np.repeat([0, 1, 2], [300, 60, 240])
    kept, kept_real = precision_recall.equally_many(np.zeros(100, int), real, seed=4)
    assert kept.tolist() == list(range(100))
    assert np.bincount(real[kept_real]).tolist() == [50, 10, 40]
    assert np.array_equal(kept_real, np.unique(kept_real))
    assert np.array_equal(kept_real, precision_recall.equally_many(np.zeros(100, int), real, seed=4)[1])
    assert not np.array_equal(kept_real, precision_recall.equally_many(np.zeros(100, int), real, seed=5)[1])


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="need 4 images"):
        measure(np.ones((3, 2)), np.ones((9, 2)))
