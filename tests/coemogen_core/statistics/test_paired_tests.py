import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coemogen_core.statistics.paired_tests import PairedTest, compare_all, holm, mcnemar
from tests.coemogen_core.experiments.small_matrix import experiments, run


def of(tests: list[PairedTest], metric: str, method: str, test: str) -> PairedTest:
    return next(each for each in tests if (each.metric, each.method, each.test.split()[0]) == (metric, method, test))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_mcnemar_is_the_sign_test_of_the_pairs_that_differ(pairs):
    """Oracle: twice the binomial tail of the rarer kind."""
    first, second = ([pair[k] for pair in pairs] for k in (0, 1))
    better, worse = pairs.count((1, 0)), pairs.count((0, 1))
    tail = stats.binom.cdf(min(better, worse), better + worse, 0.5)
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(first, second) == mcnemar(second, first)


def test_emo_a_is_compared_over_pictures_of_shared_seeds():
    """Ten pictures only ours, two only theirs; a seed that one of them lacks does not count."""
    ours, theirs = "1" * 10 + "0" * 2 + "1" * 8, "0" * 10 + "1" * 2 + "1" * 8
    found = experiments(
        run("coemogen", 0, 0.9, recognised=ours), run("coemogen", 1, 0.9, recognised=ours), run("sd", 0, 0.5, recognised=theirs)
    )
    test = of(compare_all(found, ["emo_a"]), "emo_a", "coemogen", "McNemar")
    assert test.pairs == 20
    assert test.difference == pytest.approx(8 / 20)
    assert test.p_value == pytest.approx(stats.binomtest(2, 12).pvalue)
    over_seeds = of(compare_all(found, ["emo_a"]), "emo_a", "coemogen", "paired")
    assert (over_seeds.pairs, over_seeds.p_value, over_seeds.reason) == (1, None, "one seed")


def test_metrics_are_compared_over_seeds():
    """Oracle: scipy's one-sample t-test on the differences."""
    values = {"coemogen": (19.0, 20.5, 18.2), "sd": (26.0, 25.1, 27.9)}
    found = experiments(*(run(method, seed, 0.5, fid) for method, fids in values.items() for seed, fid in enumerate(fids)))
    test = of(compare_all(found, ["fid"]), "fid", "coemogen", "paired")
    differences = np.subtract(values["coemogen"], values["sd"])
    assert test.difference == pytest.approx(differences.mean())
    assert test.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    same = of(compare_all(found, ["emo_a"]), "emo_a", "coemogen", "paired")
    assert (same.p_value, same.reason) == (None, "the same difference with every seed")


def test_holm_by_hand():
    """Holm's own procedure on four p values: 0.01 x 4, 0.015 x 3, 0.03 x 2, 0.04 x 1, none below the one before."""
    tests = [
        PairedTest("fid", name, "sd", "paired t over seeds", 3, 0.0, p) for name, p in zip("abcd", (0.03, 0.01, 0.04, 0.015), strict=True)
    ]
    tests.append(PairedTest("fid", "e", "sd", "paired t over seeds", 1, 0.0, None))
    assert [test.adjusted for test in holm(tests)] == [
        pytest.approx(0.06),
        pytest.approx(0.04),
        pytest.approx(0.06),
        pytest.approx(0.045),
        None,
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_helps_and_keeps_the_order(values):
    adjusted = [test.adjusted for test in holm([PairedTest("fid", "m", "sd", "paired t over seeds", 3, 0.0, p) for p in values])]
    assert all(p <= corrected <= 1 for p, corrected in zip(values, adjusted, strict=True))
    assert max(adjusted) >= min(1.0, min(values) * len(values)) or len(values) == 1
    assert [adjusted[index] for index in np.argsort(values, kind="stable")] == sorted(adjusted)


def test_a_method_is_not_compared_with_itself():
    found = experiments(run("coemogen", 0, 0.9, recognised="11"), run("sd", 0, 0.5, recognised="01"), compared_with=("sd", "coemogen"))
    tests = compare_all(found, ["emo_a", "fid", "sem_d"])
    assert all(test.method != test.against for test in tests)
    assert {(test.method, test.against) for test in tests} == {("coemogen", "sd"), ("sd", "coemogen")}
