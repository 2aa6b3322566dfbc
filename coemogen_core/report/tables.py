"""The numbers of a report as people read them: formatted, compared, and put into the order of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from coemogen_core.emotions import EMOTIONS, POLARITIES
from coemogen_core.evaluation.definitions import LOWER_IS_BETTER, NumberName
from schemas.metrics import METRIC_NAMES, ColourMetrics, Estimate, Interval, MethodMetrics, MetricName, Metrics, ProbeAnswers

COLOUR_METRICS: tuple[NumberName, ...] = ("brightness", "colourfulness")


def meaning(metric: str, of: type[BaseModel] = MethodMetrics) -> str:
    """What a number says, in the words of the schema."""
    return of.model_fields[metric].description or ""


@dataclass(frozen=True)
class ShownNumber:
    """One number with what stands below it: its interval, or the reason why there is none."""

    value: str
    interval: str
    best: bool = False


@dataclass(frozen=True)
class MetricRow:
    """One method of the metric table; real images have no method."""

    method: str | None
    images: int
    cells: list[ShownNumber]


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


def metric_rows(metrics: Metrics) -> list[MetricRow]:
    """Rows of the metric table: the methods, then the real images."""
    best = {name: best_method(metrics.in_order(), name, metrics.reference) for name in METRIC_NAMES}
    rows = []
    for method, found in _sets(metrics):
        wins = {name: method is not None and method == best[name] for name in METRIC_NAMES}
        rows.append(MetricRow(method, found.images, [_shown(found.estimate(name), name, best=wins[name]) for name in METRIC_NAMES]))
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


def polarity_rows(metrics: Metrics) -> list[MetricRow]:
    """Brightness, then colourfulness, positive, negative and of all, of every method and of the real images."""
    return [
        MetricRow(method, found.images, [_colour(colours, metric) for metric in COLOUR_METRICS for colours in _colours(found)])
        for method, found in _sets(metrics)
    ]


def with_interval(value: float | None, interval: Interval | None, metric: str) -> str:
    """A value and its interval in one line."""
    if interval is None:
        return number(value, metric)
    return f"{number(value, metric)} ({number(interval.low, metric)} – {number(interval.high, metric)})"


def probe_verdict(probe: ProbeAnswers) -> str:
    """The collapse check in words."""
    if probe.collapsed is None:
        few = probe.majority_interval is None
        return "not checked: " + ("not enough images" if few else "only one emotion was asked for")
    return f"suspicious: {probe.majority_emotion} too often" if probe.collapsed else "no collapse"


def judge(method: MethodMetrics) -> str:
    """What the probe that gives Emo-A is: one that sees through CLIP is not independent of a method that CLIP drives."""
    through_clip = next((probe.through_clip for probe in method.probes.values()), None)
    words = {True: "A probe that sees through CLIP, as the method does,", False: "An independent judge"}
    return "The emotion probe" if through_clip is None else words[through_clip]


def second_judge(methods: Mapping[str, MethodMetrics], labels: Mapping[str, str]) -> str:
    """What a probe outside CLIP's space says where the first one is within it, or that nobody asked one; else nothing."""
    if not methods or next((probe.through_clip for method in methods.values() for probe in method.probes.values()), None) is not True:
        return ""
    others = {
        name: next((probe.accuracy for probe in found.probes.values() if probe.through_clip is False), None)
        for name, found in methods.items()
    }
    said = [f"{number(value, 'emo_a')} by {labels[name]}" for name, value in others.items() if value is not None]
    if not said:
        return "No probe outside CLIP's space was asked: nothing independent says the same."
    return f"An independent one, which does not, recognises it in {', '.join(said)}."


def reference_notes(metrics: Metrics) -> list[str]:
    """Which real images there are, who labelled them, and how many of them all emotions together are compared with."""
    real = metrics.reference
    if real is None:
        return []
    chosen = "the test split" if real.split == "test" else "all labelled images"
    if real.split is None and "train_splits" in metrics.configuration:
        chosen += ", held out from training or not"
    drawn = "all of them" if real.of_each is None else f"up to {real.of_each:,} of each emotion (drawn with seed {metrics.seed})"
    notes = [
        f"Real images: {real.images:,} of “{real.source}” ({chosen}).",
        f"FID, KID and CMMD of all emotions together compare with {drawn}; precision, recall, density and coverage compare as many of "
        "either side as the smaller one has.",
    ]
    if real.short:
        few = ", ".join(f"{count} of {emotion}" for emotion, count in real.short.items())
        notes.append(f"There are only {few}: what is compared holds them as seldom on both sides.")
    for method, found in metrics.in_order().items():
        if found.fid.value is not None and found.fid.images < found.images:
            notes.append(f"The images of {method} are uneven: {found.fid.images:,} of {found.images:,} are compared there.")
    if real.labels == "classifier":
        notes.append("Their emotions are a classifier's labels, which nobody has confirmed.")
    return notes


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


def _sets(metrics: Metrics) -> list[tuple[str | None, MethodMetrics]]:
    """The methods, then the real images without a name."""
    real = [] if metrics.reference is None else [(None, metrics.reference)]
    return [*metrics.in_order().items(), *real]


def _shown(estimate: Estimate, metric: MetricName, *, best: bool) -> ShownNumber:
    if estimate.low is None:
        return ShownNumber(number(estimate.value, metric), estimate.reason or "", best)
    return ShownNumber(number(estimate.value, metric), f"{number(estimate.low, metric)} – {number(estimate.high, metric)}", best)


def _colours(found: MethodMetrics) -> list[ColourMetrics | None]:
    return [*(found.polarity[polarity] for polarity in POLARITIES), found.colour]


def _colour(found: ColourMetrics | None, metric: str) -> ShownNumber:
    if found is None:
        return ShownNumber("–", "")
    interval = found.intervals.get(metric)
    ends = "" if interval is None else f"{number(interval.low, metric)} – {number(interval.high, metric)}"
    return ShownNumber(number(getattr(found, metric), metric), ends)


def _above(first: Estimate, second: Estimate) -> bool:
    """Whether the whole interval of the first lies above that of the second."""
    return first.low is not None and second.high is not None and first.low > second.high
