"""One number over several seeds: mean, standard deviation, confidence interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t


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
