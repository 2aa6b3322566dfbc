"""Standard errors from leaving out one image at a time."""

import numpy as np
import pytest
from scipy import stats

from coemogen_core.statistics import jackknife


def test_of_a_mean_it_is_the_textbooks(rng: np.random.Generator) -> None:
    values = rng.lognormal(size=40)
    groups = np.zeros(40, int)
    found = jackknife.spread(jackknife.left_out_means(values), groups)
    assert found.standard_error == pytest.approx(stats.sem(values), rel=1e-12)
    assert found.degrees_of_freedom == pytest.approx(39)
    interval = jackknife.student_interval(float(values.mean()), found, 0.9)
    assert (interval.low, interval.high) == pytest.approx(stats.t.interval(0.9, 39, values.mean(), stats.sem(values)))


def test_differences_between_emotions_are_no_spread(rng: np.random.Generator) -> None:
    """Every set has as many images of each emotion, so only the spread within one moves the mean."""
    groups = np.repeat([2, 5], [30, 10])
    values = rng.normal(size=40) + 100 * groups
    within = sum(len(own) * own.var(ddof=1) for own in (values[:30], values[30:])) / 40**2
    found = jackknife.spread(jackknife.left_out_means(values), groups)
    assert found.standard_error == pytest.approx(within**0.5)
    assert 9 < found.degrees_of_freedom < 38


def test_an_interval_stays_where_the_metric_can_be() -> None:
    error = jackknife.spread(np.array([0.0, 1, 2, 3]), np.zeros(4, int))
    assert jackknife.student_interval(1.5, error, 0.95, lowest=0.0).low == 0.0
    assert jackknife.student_interval(1.5, error, 0.95).low < 0
    with pytest.raises(ValueError, match="group 7 has one image"):
        jackknife.spread(np.arange(4.0), np.array([0, 0, 0, 7]))
