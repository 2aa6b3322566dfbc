"""Wilson's interval of shares, with emotions that are recognised differently often."""

import numpy as np
import pytest
from scipy.stats import binomtest

from coemogen_core.statistics import shares


def test_of_one_emotion_it_is_wilsons_of_one_image_fewer() -> None:
    """The standard error has n - 1 below it."""
    hits = np.arange(41) < 30
    found = shares.hits_interval(hits, np.zeros(41, int), 0.95)
    assert found is not None
    assert found.low < 30 / 41 < found.high
    expected = binomtest(30, 41).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=3e-3)


@pytest.mark.parametrize("right", [True, False])
def test_where_all_are_right_or_none_is_it_has_a_width(right: bool) -> None:
    found = shares.hits_interval(np.full(25, right), np.zeros(25, int), 0.95)
    expected = binomtest(25 * right, 25).proportion_ci(0.95, method="wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.high - found.low > 0.1


@pytest.mark.parametrize(("known", "of_each"), [([0.9], 60), ([0.98, 0.6], 30), (np.linspace(0.6, 0.98, 8), 8)])
def test_it_holds_the_share_in_as_many_samples_as_it_says(known: list[float], of_each: int) -> None:
    generator, groups = np.random.default_rng(0), np.repeat(np.arange(len(known)), of_each)
    held = 0
    for _ in range(1000):
        found = shares.hits_interval(generator.random(len(groups)) < np.repeat(known, of_each), groups, 0.95)
        assert found is not None
        held += found.low <= np.mean(known) <= found.high
    assert 0.93 <= held / 1000 <= 0.97


def test_what_is_unknown_has_no_interval() -> None:
    assert shares.hits_interval(np.ones(1), np.zeros(1, int), 0.95) is None
    assert shares.hits_interval(np.ones(3), np.array([0, 0, 1]), 0.95) is None
