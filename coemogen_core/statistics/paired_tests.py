"""Is the difference between two methods more than chance? Paired tests over shared noise and shared seeds, corrected for their number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Literal

import numpy as np
import scipy

from schemas.experiments import Experiments, MethodRun
from schemas.metrics import MetricName

TestName = Literal["McNemar over pictures", "paired t over seeds"]


@dataclass(frozen=True)
class PairedTest:
    """One method against another in one metric."""

    metric: MetricName
    method: str
    against: str
    test: TestName
    pairs: int  # pictures, or seeds
    difference: float  # of the method to the other, mean over pairs
    p_value: float | None  # two-sided; None where the test cannot say anything
    adjusted: float | None = None  # by Holm, among the tests of the same metric, kind and opponent
    reason: str | None = None  # why there is no p


def compare_all(experiments: Experiments, metrics: Sequence[MetricName]) -> list[PairedTest]:
    """Every method against every one that is compared with, in every metric.

    Emo-A is compared picture by picture: two pictures of one emotion, seed and number started from the same noise, so McNemar's exact test
    asks whether those that only one method got right are more often one's than the other's. It speaks about these trainings. All metrics,
    Emo-A too, are compared over seeds by a paired t-test, which speaks about trainings in general and needs several seeds.
    """
    found: list[PairedTest] = []
    for against in experiments.compared_with:
        others = [method for method in experiments.methods if method != against]
        for metric in metrics:
            kinds = (_over_pictures, _over_seeds) if metric == "emo_a" else (_over_seeds,)
            for kind in kinds:
                tests = [kind(experiments, metric, method, against) for method in others]
                found += holm([test for test in tests if test is not None])
    return found


def holm(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """The same tests with p values adjusted by Holm (1979): of m tests the k-th smallest is multiplied by m - k + 1, and none falls below
    the one before it."""
    order = sorted((index for index, test in enumerate(tests) if test.p_value is not None), key=lambda index: tests[index].p_value or 0.0)
    adjusted, floor = list(tests), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - rank) * (tests[index].p_value or 0.0)))
        adjusted[index] = replace(tests[index], adjusted=floor)
    return adjusted


def mcnemar(first: Sequence[int], second: Sequence[int]) -> float:
    """Two-sided p of McNemar's exact test on two equally long sequences of 0 and 1: the binomial test of the pairs that differ."""
    differences = np.asarray(first, np.int64) - np.asarray(second, np.int64)
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    return 1.0 if better + worse == 0 else float(scipy.stats.binomtest(better, better + worse, 0.5).pvalue)


def _over_pictures(experiments: Experiments, metric: MetricName, method: str, against: str) -> PairedTest | None:
    first: list[int] = []
    second: list[int] = []
    for own, other in _shared(experiments, method, against):
        for emotion in own.recognised.keys() & other.recognised.keys():
            pair = own.recognised[emotion], other.recognised[emotion]
            if len(pair[0]) == len(pair[1]):
                first += map(int, pair[0])
                second += map(int, pair[1])
    if not first:
        return None
    difference = mean(first) - mean(second)
    return PairedTest(metric, method, against, "McNemar over pictures", len(first), difference, mcnemar(first, second))


def _over_seeds(experiments: Experiments, metric: MetricName, method: str, against: str) -> PairedTest | None:
    pairs = [
        (own.metrics[metric].value, other.metrics[metric].value)
        for own, other in _shared(experiments, method, against)
        if metric in own.metrics and metric in other.metrics
    ]
    if not pairs:
        return None
    differences = [own - other for own, other in pairs]
    found = PairedTest(metric, method, against, "paired t over seeds", len(pairs), mean(differences), None)
    if len(pairs) < 2:
        return replace(found, reason="one seed")
    if len(set(differences)) == 1:
        return replace(found, reason="the same difference with every seed")
    return replace(found, p_value=float(scipy.stats.ttest_rel(*zip(*pairs, strict=True)).pvalue))


def _shared(experiments: Experiments, method: str, against: str) -> list[tuple[MethodRun, MethodRun]]:
    """Runs of both methods with the same seed."""
    others = {run.seed: run for run in experiments.runs_of(against)}
    return [(run, others[run.seed]) for run in experiments.runs_of(method) if run.seed in others]
