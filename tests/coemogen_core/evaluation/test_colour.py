"""Brightness and colourfulness of pictures whose values are known."""

import numpy as np
import pytest
from scipy import stats

from coemogen_core.evaluation import colour
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.statistics import bootstrap


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((6, 4, 3), (red, green, blue), np.uint8)


def test_brightness_of_flat_pictures() -> None:
    assert colour.brightness(flat(0, 0, 0)) == 0.0
    assert colour.brightness(flat(255, 255, 255)) == pytest.approx(1.0, rel=tolerance("brightness"))
    assert colour.brightness(flat(0, 255, 0)) == pytest.approx(0.7152, rel=tolerance("brightness"))


def test_colourfulness_is_zero_for_grey_and_follows_the_formula() -> None:
    assert colour.colourfulness(flat(90, 90, 90)) == 0.0
    assert colour.colourfulness(flat(200, 0, 0)) == pytest.approx(0.3 * np.hypot(200, 100), rel=tolerance("colourfulness"))
    two = np.concatenate([flat(255, 0, 0), flat(0, 255, 0)])  # rg = +-255, yb = 127.5
    assert colour.colourfulness(two) == pytest.approx(255 + 0.3 * 127.5, rel=tolerance("colourfulness"))


def test_polarities_are_averaged_apart() -> None:
    result = colour.by_polarity(np.array([0, 1, 7]), np.array([0.5, 0.7, 0.1]), np.array([10.0, 20, 5]), np.ones((9, 3)), 0.95)
    assert (result["positive"].images, result["negative"].images) == (2, 1)
    assert result["positive"].brightness == pytest.approx(0.6)
    assert result["negative"].colourfulness == 5.0
    assert result["positive"].intervals == {}, "too few images of either emotion"
    alone = colour.by_polarity(np.array([0]), np.array([0.5]), np.array([1.0]), np.ones((9, 1)), 0.95)["negative"]
    assert (alone.images, alone.brightness, alone.intervals) == (0, None, {})


def test_a_polaritys_interval_is_that_of_its_own_images() -> None:
    generator = np.random.default_rng(0)
    emotions = np.repeat([0, 7], 40)
    light, vivid = generator.normal(0.5, 0.1, 80), generator.normal(30, 5, 80)
    counts = bootstrap.resample_counts(emotions, 2000, 0)
    found = colour.by_polarity(emotions, light, vivid, counts, 0.95)
    for name, own in (("positive", emotions == 0), ("negative", emotions == 7)):
        for metric, values in (("brightness", light[own]), ("colourfulness", vivid[own])):
            expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=2000, rng=np.random.default_rng(1))
            interval = found[name].intervals[metric]
            width = expected.confidence_interval.high - expected.confidence_interval.low
            assert interval.low == pytest.approx(expected.confidence_interval.low, abs=0.1 * width)
            assert interval.high == pytest.approx(expected.confidence_interval.high, abs=0.1 * width)
