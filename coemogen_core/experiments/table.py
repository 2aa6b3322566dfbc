"""Experiments as a table in the paper's form: a row a method, mean and standard deviation over the seeds, and intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import scipy

from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.published import CONDITIONS, COUNTERPARTS, PUBLISHED, published_rows
from coemogen_core.statistics.paired_tests import PairedTest, compare_all
from schemas.experiments import Experiments, MeasuredMetric
from schemas.metrics import MetricName

COLUMNS: tuple[MetricName, ...] = ("fid", "lpips", "emo_a", "sem_c", "sem_d")
"""The paper's metrics in the paper's order."""
DIGITS: dict[MetricName, int] = {"fid": 2, "lpips": 3, "emo_a": 4, "sem_c": 3, "sem_d": 5}
TEST_COLUMNS = ("metric", "method", "against", "difference", "test", "pairs", "p", "p (Holm)")
LEVEL = 0.95


@dataclass(frozen=True)
class MethodCell:
    """One metric of one method over its seeds."""

    metric: MetricName
    mean: float
    deviation: float | None  # sample standard deviation; None with a single seed
    seeds: int  # that have this metric
    interval: tuple[float, float] | None  # over seeds (Student), or over pictures (bootstrap) where there is one seed

    @property
    def text(self) -> str:
        """`mean ± standard deviation`."""
        value = number(self.mean, self.metric)
        return value if self.deviation is None else f"{value} ± {number(self.deviation, self.metric)}"

    @property
    def ends(self) -> tuple[str, ...]:
        """Both ends of the interval as text; empty without one."""
        return tuple(number(end, self.metric) for end in self.interval or ())


@dataclass(frozen=True)
class MethodRow:
    """One method; a metric that no seed has is left out."""

    method: str
    label: str
    seeds: int
    cells: dict[MetricName, MethodCell]


@dataclass(frozen=True)
class ExperimentTable:
    """Everything that is shown of a matrix, in whatever form."""

    experiments: Experiments
    rows: list[MethodRow]
    published: dict[str, dict[MetricName, float]]  # the paper's own rows by label; only metrics that may stand here
    tests: list[PairedTest]

    def note(self, place: str = "in brackets") -> str:
        """What the numbers are, in a sentence or two; `place` says where the intervals stand."""
        found = self.experiments
        seeds = f"{len(found.seeds)} seeds" if len(found.seeds) > 1 else "one seed"
        interval = (
            f"mean ± standard deviation over the seeds, {place} the 95 % interval of the mean (Student's t over seeds)"
            if len(found.seeds) > 1
            else f"{place} the interval over the pictures"
        )
        missing = len(found.methods) * len(found.seeds) - len(found.runs)
        rest = f" {missing} runs are not done yet." if missing else ""
        return f"{seeds}, {found.images_per_emotion} pictures an emotion and run; {interval}. Protocol {found.protocol}.{rest}"

    def order_note(self) -> str:
        """Whether the methods that the paper ran, too, stand in its order by Emo-A, whoever measured; empty for fewer than two of them."""
        known = {row.method: row.cells["emo_a"].mean for row in self.rows if row.method in COUNTERPARTS and "emo_a" in row.cells}
        if len(known) < 2:
            return ""
        theirs = {name: PUBLISHED[COUNTERPARTS[name]]["emo_a"] for name in known}
        papers, ours = sorted(known, key=lambda name: -theirs[name]), sorted(known, key=lambda name: -known[name])
        listed = ", ".join(f"{COUNTERPARTS[name]} {number(theirs[name], 'emo_a')}" for name in papers)
        found = "the same" if ours == papers else ", ".join(map(self.experiments.label, ours))
        return f"The paper's order by Emo-A ({CONDITIONS}): {listed}. The order of the means here: {found}."

    def published_note(self) -> str:
        """What the paper's rows are, in a sentence; empty without such rows."""
        return f"The rows named (paper) are CoEmoGen's (arXiv 2508.03535): {CONDITIONS}." if self.published else ""

    def test_cells(self) -> list[tuple[str, ...]]:
        """The tests as people read them, under TEST_COLUMNS."""
        return [
            (
                DEFINITIONS[test.metric].title,
                self.experiments.label(test.method),
                self.experiments.label(test.against),
                f"{'−' if test.difference < 0 else '+'}{number(abs(test.difference), test.metric)}",
                test.test,
                f"{test.pairs:,}",
                test.reason or p_text(test.p_value),
                p_text(test.adjusted),
            )
            for test in self.tests
        ]


def build_table(experiments: Experiments) -> ExperimentTable:
    """The table of a matrix, as far as it is done: methods without a finished run are left out."""
    rows = [_row(experiments, method) for method in experiments.methods if experiments.runs_of(method)]
    return ExperimentTable(experiments, rows, published_rows(experiments), compare_all(experiments, COLUMNS))


def published_cells(values: Mapping[MetricName, float]) -> list[str]:
    """One of the paper's rows as text, under COLUMNS; a dash where its number may not stand here."""
    return [number(values[name], name) if name in values else "–" for name in COLUMNS]


def number(value: float, metric: MetricName) -> str:
    """A value with the digits of its metric; Emo-A in per cent."""
    return f"{100 * value:.{DIGITS[metric] - 2}f} %" if metric == "emo_a" else f"{value:.{DIGITS[metric]}f}"


def p_text(value: float | None) -> str:
    """A p value as people write it; a dash for none."""
    return "–" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's confidence interval of the mean of two values or more.

    Over seeds it covers the training and the pictures, both of which change with the seed, and is wide for few of them: for three, 2.5
    standard deviations to either side.
    """
    reach = float(scipy.stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - reach, mean(values) + reach


def _row(experiments: Experiments, method: str) -> MethodRow:
    runs = experiments.runs_of(method)
    measured = {metric: [run.metrics[metric] for run in runs if metric in run.metrics] for metric in COLUMNS}
    cells = {metric: _cell(metric, found) for metric, found in measured.items() if found}
    return MethodRow(method, experiments.label(method), len(runs), cells)


def _cell(metric: MetricName, found: Sequence[MeasuredMetric]) -> MethodCell:
    values = [one.value for one in found]
    if len(values) > 1:
        return MethodCell(metric, mean(values), stdev(values), len(values), _possible(student_interval(values), metric))
    low, high = found[0].low, found[0].high
    return MethodCell(metric, values[0], None, 1, None if low is None or high is None else (low, high))


def _possible(interval: tuple[float, float], metric: MetricName) -> tuple[float, float]:
    """The part of an interval that the metric can reach: a share has no values beyond 0 and 1, whatever Student says."""
    low, high = DEFINITIONS[metric].low, DEFINITIONS[metric].high
    return (interval[0] if low is None else max(interval[0], low)), (interval[1] if high is None else min(interval[1], high))
