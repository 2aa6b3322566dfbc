"""The bootstrap: strata, coverage, and what it says when there is too little."""

import numpy as np
import pytest
from pydantic import ValidationError

from coemogen_core.evaluation import semantics
from coemogen_core.statistics import bootstrap
from schemas.metrics import Estimate


def test_every_resample_keeps_the_group_sizes_and_the_seed_decides() -> None:
    groups = np.repeat([0, 1, 2], [5, 1, 7])
    counts = bootstrap.resample_counts(groups, 50, seed=4)
    for group, size in ((0, 5), (1, 1), (2, 7)):
        assert (counts[:, groups == group].sum(axis=1) == size).all()
    assert np.array_equal(counts, bootstrap.resample_counts(groups, 50, seed=4))
    assert not np.array_equal(counts, bootstrap.resample_counts(groups, 50, seed=5))


def covered(values: np.ndarray, truth: float) -> bool:
    interval = bootstrap.percentile_interval(values, 0.95)
    assert interval is not None
    return interval.low <= truth <= interval.high


def test_coverage_of_a_mean_and_of_a_pair_metric() -> None:
    hits = np.zeros(2)
    for trial in range(150):
        sample = np.random.default_rng(trial).normal(size=(60, 3))
        counts = bootstrap.resample_counts(np.zeros(60, int), 200, trial)
        hits += covered(bootstrap.resampled_means(sample[:, 0], counts), 0.0), covered(semantics.resampled_differences(sample, counts), 2.0)
    assert (hits / 150 > 0.87).all()
    assert (hits / 150 <= 1.0).all()


def test_few_images_ask_for_wider_intervals_as_students_do() -> None:
    """Of ten numbers, the bare percentiles hold the mean in 90 % of samples."""
    bare, expanded = 0, 0
    counts = bootstrap.resample_counts(np.zeros(10, int), 1000, 0)
    for trial in range(600):
        resampled = bootstrap.resampled_means(np.random.default_rng(trial).normal(size=10), counts)
        bare += covered(resampled, 0.0)
        interval = bootstrap.percentile_interval(resampled, 0.95, [10])
        assert interval is not None
        expanded += interval.low <= 0 <= interval.high
    assert bare / 600 < 0.93
    assert 0.93 <= expanded / 600 <= 0.97


def test_many_images_or_strata_of_one_leave_the_level_as_it_is() -> None:
    assert bootstrap.expanded_level(0.95, [100_000]) == pytest.approx(0.95, abs=1e-5)
    assert bootstrap.expanded_level(0.95, [1, 1]) == 0.95
    assert bootstrap.expanded_level(0.95, [5]) > bootstrap.expanded_level(0.95, [5] * 8) > bootstrap.expanded_level(0.95, [50] * 8) > 0.95


def test_nan_resamples_are_left_out_until_they_are_the_majority() -> None:
    assert bootstrap.percentile_interval(np.array([np.nan, 1.0, 1.0, 1.0]), 0.9) is not None
    assert bootstrap.percentile_interval(np.array([np.nan, np.nan, np.nan, 1.0]), 0.9) is None


def test_too_few_images_are_named() -> None:
    assert bootstrap.too_few(np.repeat([0, 1], [9, 9]), ("awe", "fear")) is None
    assert "fear has 2" in str(bootstrap.too_few(np.repeat([0, 1], [9, 2]), ("awe", "fear")))
    assert bootstrap.too_few(np.empty(0, int), ("awe",)) == "not enough images: none"


def test_an_estimate_never_holds_nan_and_explains_what_is_missing() -> None:
    found = bootstrap.estimate(float("nan"), None, images=1, resamples=10, extractor="x", reason=None)
    assert (found.value, found.reason) == (None, "not enough images")
    with pytest.raises(ValidationError):
        Estimate(value=float("nan"), images=1, extractor="x", reason="r")
    with pytest.raises(ValidationError, match="needs a reason"):
        Estimate(value=None, images=1, extractor="x")
    with pytest.raises(ValidationError, match="two ends"):
        Estimate(value=1.0, low=0.5, images=1, extractor="x", reason="r")
