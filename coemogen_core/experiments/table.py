"""Experiments as a table in the paper's form: a row a method, mean and standard deviation over the seeds, and intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t

from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.published import published_values
from coemogen_core.statistics.paired_tests import PairedTest, compare_all
from schemas.experiments import Experiments
from schemas.metrics import MetricName


@dataclass(frozen=True)
class Spread:
    """One metric of one method over its seeds."""

    mean: float
    deviation: float | None  # sample standard deviation; None with a single seed
    seeds: int  # that have this metric

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's confidence interval of the mean over seeds; None with a single seed.

        It covers the training and the pictures, both of which change with the seed, and is wide for few seeds: for three, 2.5 standard
        deviations to either side.
        """
        if self.deviation is None:
            return None
        reach = float(t.ppf((1 + level) / 2, self.seeds - 1)) * self.deviation / math.sqrt(self.seeds)
        return self.mean - reach, self.mean + reach


def spread_of(values: Sequence[float]) -> Spread:
    """The spread of one or more values."""
    return Spread(mean(values), stdev(values) if len(values) > 1 else None, len(values))


def text_of(spread: Spread | None, number: Callable[[float], str] = "{:.4g}".format) -> str:
    """`mean ± standard deviation`; a dash where the metric is missing."""
    if spread is None:
        return "–"
    return number(spread.mean) if spread.deviation is None else f"{number(spread.mean)} ± {number(spread.deviation)}"


COLUMNS: tuple[MetricName, ...] = ("fid", "lpips", "emo_a", "sem_c", "sem_d")
"""The paper's metrics in the paper's order."""
DIGITS: dict[MetricName, int] = {"fid": 2, "lpips": 3, "emo_a": 4, "sem_c": 3, "sem_d": 5}


@dataclass(frozen=True)
class Cell:
    """One metric of one method."""

    spread: Spread
    interval: tuple[float, float] | None  # over seeds (Student), or over pictures (bootstrap) where there is one seed
    published: float | None  # the paper's number, where it may stand here


@dataclass(frozen=True)
class Row:
    """One method."""

    method: str
    seeds: int
    cells: dict[MetricName, Cell]


@dataclass(frozen=True)
class ExperimentTable:
    """Everything that is shown of a matrix, in whatever form."""

    experiments: Experiments
    rows: list[Row]
    tests: list[PairedTest]

    @property
    def has_published(self) -> bool:
        """Whether any of the paper's numbers stand beside the measured ones."""
        return any(cell.published is not None for row in self.rows for cell in row.cells.values())

    def note(self, place: str = "in brackets") -> str:
        """What the numbers are, in a sentence or two; `place` says where the intervals stand."""
        found = self.experiments
        seeds = f"{len(found.seeds)} seeds" if len(found.seeds) > 1 else "one seed"
        interval = (
            f"mean ± standard deviation over the seeds, {place} the 95 % interval of the mean (Student's t over seeds)"
            if len(found.seeds) > 1
            else f"{place} the bootstrap interval over the pictures"
        )
        missing = len(found.methods) * len(found.seeds) - len(found.runs)
        rest = f" {missing} runs are not done yet." if missing else ""
        return f"{seeds}, {found.images_per_emotion} pictures an emotion and run; {interval}. Protocol {found.protocol}.{rest}"


def build_table(experiments: Experiments, columns: Sequence[MetricName] = COLUMNS) -> ExperimentTable:
    """The table of a matrix, as far as it is done: methods without a finished run are left out."""
    rows = [_row(experiments, method, columns) for method in experiments.methods if experiments.runs_of(method)]
    return ExperimentTable(experiments, rows, compare_all(experiments, columns))


def number(value: float, metric: MetricName) -> str:
    """A value with the digits of its metric; Emo-A in per cent."""
    return f"{100 * value:.{DIGITS[metric] - 2}f} %" if metric == "emo_a" else f"{value:.{DIGITS[metric]}f}"


def _row(experiments: Experiments, method: str, columns: Sequence[MetricName]) -> Row:
    runs, published = experiments.runs_of(method), published_values(experiments, method)
    cells: dict[MetricName, Cell] = {}
    for metric in columns:
        found = [run.metrics[metric] for run in runs if metric in run.metrics]
        if not found:
            continue
        spread = spread_of([one.value for one in found])
        interval = spread.interval()
        if interval is not None:
            interval = _possible(interval, metric)
        if interval is None and found[0].low is not None and found[0].high is not None:
            interval = found[0].low, found[0].high
        cells[metric] = Cell(spread, interval, published.get(metric))
    return Row(method, len(runs), cells)


def _possible(interval: tuple[float, float], metric: MetricName) -> tuple[float, float]:
    """The part of an interval that the metric can reach: a share has no values beyond 0 and 1, whatever Student says."""
    low, high = DEFINITIONS[metric].low, DEFINITIONS[metric].high
    return (interval[0] if low is None else max(interval[0], low)), (interval[1] if high is None else min(interval[1], high))
