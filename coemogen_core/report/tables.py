"""The numbers of a report as people read them: formatted, compared, and put into the order of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from coemogen_core.emotions import EMOTIONS, POLARITIES
from coemogen_core.evaluation.definitions import DEFINITIONS, LOWER_IS_BETTER
from coemogen_core.experiments.ablation_summary import summarise
from coemogen_core.experiments.ablation_variants import PAPER_EMO_A
from coemogen_core.experiments.table import text_of
from schemas.ablations import Ablations
from schemas.metrics import METRIC_NAMES, ColourMetrics, Estimate, Interval, MethodMetrics, MetricName, Metrics, ProbeMetrics

METRIC_LABELS: dict[MetricName, str] = {name: DEFINITIONS[name].label for name in METRIC_NAMES}
METRIC_MEANINGS: dict[MetricName, str] = {
    "fid": "Fréchet distance between the features of generated and of real images; lower is nearer",
    "cmmd": "distance between the CLIP embeddings of generated and of real images as distributions; lower is nearer",
    "precision": "share of generated images that lie among real ones; higher is more realistic",
    "recall": "share of real images that lie among generated ones; higher leaves fewer kinds out",
    "lpips": "mean perceptual distance between two images of the same emotion; higher is more varied",
    "emo_a": "share of images in which an independent probe recognises the emotion that was asked for",
    "sem_c": "mean certainty of an object or a scene classifier, whichever is surer; higher is clearer",
    "sem_d": "mean squared difference of the CLIP embeddings of two images of the same emotion; "
    "above real images is noise, far below is collapse",
}
EMOTION_COLUMNS = {
    "emo_a": "Emo-A",
    "lpips": "LPIPS",
    "sem_c": "Sem-C",
    "sem_d": "Sem-D",
    "fid": "FID",
    "cmmd": "CMMD",
    "precision": "precision",
    "recall": "recall",
    "brightness": "brightness",
    "colourfulness": "colourfulness",
}


COLOUR_METRICS = ("brightness", "colourfulness")


@dataclass(frozen=True)
class Cell:
    """One number of the metric table."""

    value: str
    interval: str
    best: bool


@dataclass(frozen=True)
class Row:
    """One method of the metric table; real images have no method."""

    method: str | None
    real: bool
    images: int
    cells: list[Cell]


def number(value: float | None, metric: str) -> str:
    """A value as people read it: shares in per cent, the rest with about three significant digits; a dash for none."""
    if value is None:
        return "–"
    if metric == "emo_a":
        return f"{100 * value:.1f} %"
    if metric == "colourfulness":
        return f"{value:.1f}"
    size = abs(value)
    return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.1 else 4 if size >= 0.01 else 5}f}"


def metric_rows(metrics: Metrics) -> list[Row]:
    """Rows of the metric table: the methods, then the real images."""
    methods = metrics.in_order()
    winners = {name: best_method(methods, name, metrics.reference) for name in METRIC_NAMES}
    rows = [
        Row(method, False, found.images, [_cell(found.estimate(name), name, best=winners[name] == method) for name in METRIC_NAMES])
        for method, found in methods.items()
    ]
    if metrics.reference is not None:
        real = metrics.reference
        rows.append(Row(None, True, real.images, [_cell(real.estimate(name), name, best=False) for name in METRIC_NAMES]))
    return rows


def best_method(methods: Mapping[str, MethodMetrics], metric: MetricName, real: MethodMetrics | None = None) -> str | None:
    """The method with the best value; None when its interval overlaps another's, or when there is nothing to compare.

    More diversity than real images have is noise: a method whose whole interval lies above theirs is not called best.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1
    found = {name: method.estimate(metric) for name, method in methods.items()}
    ranked = sorted((name for name in found if found[name].value is not None), key=lambda name: -sign * (found[name].value or 0.0))
    if len(ranked) < 2:
        return None
    best = found[ranked[0]]
    if metric in ("lpips", "sem_d") and real is not None and _above(best, real.estimate(metric)):
        return None
    return ranked[0] if all(_above(best, found[other]) or _above(found[other], best) for other in ranked[1:]) else None


def polarity_rows(metrics: Metrics) -> list[dict[str, Any]]:
    """Brightness and colourfulness, positive, negative and of all, of every method and of the real images (method None).

    Each as a value and its interval.
    """
    sets: list[tuple[str | None, MethodMetrics]] = list(metrics.in_order().items())
    if metrics.reference is not None:
        sets.append((None, metrics.reference))
    return [
        {
            "method": method,
            "cells": [_colour_cell(colours, metric) for metric in COLOUR_METRICS for colours in _colours(found)],
        }
        for method, found in sets
    ]


def _colours(found: MethodMetrics) -> list[ColourMetrics | None]:
    return [*(found.polarity[polarity] for polarity in POLARITIES), found.colour]


def _colour_cell(found: ColourMetrics | None, metric: str) -> Cell:
    if found is None:
        return Cell("–", "", best=False)
    interval = found.intervals.get(metric)
    ends = "" if interval is None else f"{number(interval.low, metric)} – {number(interval.high, metric)}"
    return Cell(number(getattr(found, metric), metric), ends, best=False)


def ablation_rows(ablations: Ablations) -> list[dict[str, Any]]:
    """Rows of the ablation table: mean and standard deviation over the seeds as text, and the paper's Emo-A where it gives one."""
    return [
        {
            "variant": summary.variant,
            "seeds": summary.seeds,
            "cells": [text_of(summary.metrics.get(name), partial(number, metric=name)) for name in METRIC_NAMES],
            "paper": number(PAPER_EMO_A.get(summary.variant), "emo_a"),
        }
        for summary in summarise(ablations)
    ]


def with_interval(value: float | None, interval: Interval | None, metric: str) -> str:
    """A value and its interval in one line."""
    if interval is None:
        return number(value, metric)
    return f"{number(value, metric)} ({number(interval.low, metric)} – {number(interval.high, metric)})"


def probe_verdict(probe: ProbeMetrics) -> str:
    """The collapse check in words."""
    if probe.collapsed is None:
        few = probe.majority_interval is None
        return "not checked: " + ("not enough images" if few else "only one emotion was asked for")
    return f"suspicious: {probe.majority_emotion} too often" if probe.collapsed else "no collapse"


def confusion_rows(confusion: list[list[int]]) -> list[tuple[str, list[float]]]:
    """Rows of a confusion matrix as shares of the row; emotions without images are left out."""
    return [
        (emotion, [count / sum(counts) for count in counts]) for emotion, counts in zip(EMOTIONS, confusion, strict=True) if sum(counts)
    ]


def flat_configuration(configuration: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as `a.b.c` and text."""
    rows: list[tuple[str, str]] = []
    for name, value in configuration.items():
        if isinstance(value, Mapping) and value:
            rows += flat_configuration(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cell(estimate: Estimate, metric: MetricName, *, best: bool) -> Cell:
    if estimate.low is None:
        return Cell(number(estimate.value, metric), estimate.reason or "", best)
    return Cell(number(estimate.value, metric), f"{number(estimate.low, metric)} – {number(estimate.high, metric)}", best)


def _above(first: Estimate, second: Estimate) -> bool:
    """Whether the whole interval of the first lies above that of the second."""
    return first.low is not None and second.high is not None and first.low > second.high
