"""Means over pairs that share images."""

import numpy as np
import pytest
from scipy import stats

from coemogen_core.statistics.dyads import Pairs, pair_interval


def test_without_a_common_image_it_is_students(rng: np.random.Generator) -> None:
    values = rng.lognormal(size=10)
    found = pair_interval(values, Pairs(np.arange(10), np.arange(10, 20), np.zeros(10, int)), 0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 9, values.mean(), stats.sem(values)))


def test_it_holds_the_mean_where_few_images_make_many_pairs() -> None:
    """Ten pairs of each of eight emotions out of ten images: numbers taken apart, they would hold the mean in 85 % of samples."""
    generator, groups = np.random.default_rng(0), np.repeat(np.arange(8), 10)
    held, apart = 0, 0
    for _ in range(600):
        pairs = np.array([generator.choice(10, 2, replace=False) + 10 * group for group in groups])
        images = generator.normal(size=(80, 3))
        values = ((images[pairs[:, 0]] - images[pairs[:, 1]]) ** 2).sum(1)
        found = pair_interval(values, Pairs(*pairs.T, groups), 0.95)
        alone = pair_interval(values, Pairs(np.arange(80), np.arange(80, 160), groups), 0.95)
        assert found is not None
        assert alone is not None
        held += found.low <= 6 <= found.high
        apart += alone.low <= 6 <= alone.high
    assert 0.92 <= held / 600 <= 0.97
    assert apart / 600 < 0.9


def test_one_pair_says_nothing_of_its_spread() -> None:
    one = Pairs(np.array([0]), np.array([1]), np.array([3]))
    assert pair_interval(np.array([0.5]), one, 0.95) is None
    assert pair_interval(np.empty(0), Pairs(*np.empty((3, 0), int)), 0.95) is None
