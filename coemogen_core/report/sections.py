"""The sections of the report, in their order. A new one is a function here and a template of its name in `sections/`.

A function gets the whole input and gives what its template finds as `content`, or None where there is nothing to show: then the
section and its link are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.definitions import DEFINITIONS
from coemogen_core.experiments.table import COLUMNS, TEST_COLUMNS, build_table, published_cells
from coemogen_core.report import tables
from coemogen_core.report.charts import Series, dot_chart, forest_chart, line_chart
from coemogen_core.report.data import MapPart, ReportData, TrainingPart
from coemogen_core.report.map import EMOTION_MARKS, map_charts
from schemas.metrics import METRIC_NAMES, EmotionMetrics, MethodMetrics, Metrics

Content = dict[str, Any]
PALETTE = 8
"""Colours of methods; a ninth method shares that of the first."""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and an anchor."""

    id: str
    title: str
    content: Callable[[ReportData], Content | None]


def _gallery(data: ReportData) -> Content:
    return {"rows": data.gallery}


def _metrics(data: ReportData) -> Content:
    return {
        "columns": _columns(data.metrics),
        "rows": tables.metric_rows(data.metrics),
        "charts": _overall_charts(data),
        "level": data.metrics.confidence_level,
        "table_note": _table_note(data.metrics),
    }


def _emotions(data: ReportData) -> Content:
    return {
        "charts": _emotion_charts(data.metrics),
        "definitions": DEFINITIONS,
        "polarity": tables.polarity_rows(data.metrics),
    }


def _confusion(data: ReportData) -> Content:
    """A matrix for every method and probe."""
    found = []
    for index, method in enumerate(data.metrics.in_order()):
        for identity, probe in data.metrics.methods[method].probes.items():
            found.append(
                {
                    "name": data.labels[method],
                    "identity": identity,
                    "accuracy": tables.with_interval(probe.accuracy, probe.interval, "emo_a"),
                    "baseline": tables.number(probe.majority_baseline, "emo_a"),
                    "commonest": tables.with_interval(probe.majority_share, probe.majority_interval, "emo_a"),
                    "emotion": probe.majority_emotion,
                    "verdict": tables.probe_verdict(probe),
                    "collapsed": bool(probe.collapsed),
                    "through_clip": bool(probe.through_clip),
                    "colour": f"var(--method-{index % PALETTE})",
                    "rows": tables.confusion_rows(probe.confusion),
                }
            )
    return {"matrices": found}


def _failures(data: ReportData) -> Content | None:
    return {"parts": data.failures} if data.failures else None


def _map(data: ReportData) -> Content | None:
    return None if data.map is None else {"part": data.map, "panels": map_charts(data.map, data.labels), "marks": _shown_marks(data.map)}


def _shown_marks(part: MapPart) -> dict[str, str]:
    shown = {emotion for panel in part.panels for emotion in panel.emotions}
    return {emotion: mark for emotion, mark in EMOTION_MARKS.items() if emotion in shown}


def _memorisation(data: ReportData) -> Content | None:
    return None if data.memorisation is None else {"part": data.memorisation}


def _experiments(data: ReportData) -> Content | None:
    """The table of a matrix in the paper's form, and which differences are more than chance."""
    if data.experiments is None:
        return None
    found = data.experiments
    budgets = [f"{found.label(name)} {found.budgets[name]:,}" for name in found.methods if name in found.budgets]
    table = build_table(found)
    return {
        "table": table,
        "published": {label: published_cells(values) for label, values in table.published.items()},
        "metrics": {name: DEFINITIONS[name].label for name in COLUMNS},
        "test_columns": TEST_COLUMNS,
        "budgets": ", ".join(budgets),
    }


def _captions(data: ReportData) -> Content | None:
    return {"corpora": data.corpora} if data.corpora else None


def _emoart(data: ReportData) -> Content | None:
    return None if data.art is None else {"corpus": data.art, "numbers": data.metrics.emoart}


def _training(data: ReportData) -> Content | None:
    return None if data.training is None else {"charts": _training_charts(data.training)}


def _run(data: ReportData) -> Content:
    return {"timings": _timings(data.metrics), "configuration": tables.flat_configuration(data.metrics.configuration)}


SECTIONS = (
    Section("gallery", "Gallery", _gallery),
    Section("metrics", "Metrics", _metrics),
    Section("emotions", "Emotion by emotion", _emotions),
    Section("confusion", "What the judge saw", _confusion),
    Section("failures", "Where it fails", _failures),
    Section("map", "Map of the pictures", _map),
    Section("memorisation", "Copies of training pictures?", _memorisation),
    Section("experiments", "Comparison", _experiments),
    Section("captions", "Captions", _captions),
    Section("emoart", "EmoArt", _emoart),
    Section("training", "Training", _training),
    Section("run", "The run", _run),
)


def _table_note(metrics: Metrics) -> str:
    notes = ["A check marks the best value where its interval does not touch any other.", *tables.reference_notes(metrics)]
    if metrics.reference is not None:
        notes.append("Diversity above that of real images is noise, far below it is collapse.")
    return " ".join(notes)


def _columns(metrics: Metrics) -> list[dict[str, str]]:
    first = next(iter(metrics.in_order().values()), None)
    return [
        {
            "label": DEFINITIONS[name].label,
            "meaning": tables.meaning(name),
            "extractor": "" if first is None else first.estimate(name).extractor,
        }
        for name in METRIC_NAMES
    ]


def _timings(metrics: Metrics) -> list[dict[str, Any]]:
    longest = max((stage.seconds for stage in metrics.stages.values()), default=0.0) or 1.0
    return [
        {"name": name, "rows": stage.rows, "reused": stage.reused, "time": tables.duration(stage.seconds), "share": stage.seconds / longest}
        for name, stage in metrics.stages.items()
    ]


def _overall_charts(data: ReportData) -> list[dict[str, Any]]:
    """Every metric of all methods with its interval; none with a single method, whose numbers the table says as well."""
    methods, real = data.metrics.in_order(), data.metrics.reference
    charts = []
    for metric in METRIC_NAMES:
        estimates = {data.labels[name]: found.estimate(metric) for name, found in methods.items()}
        if len(methods) > 1 and any(estimate.value is not None for estimate in estimates.values()):
            line = None if real is None else real.estimate(metric).value
            drawn = forest_chart(estimates, line, name=f"{metric}-overall", percent=metric == "emo_a")
            charts.append(_chart(DEFINITIONS[metric].label, "", drawn))
    return charts


def _emotion_charts(metrics: Metrics) -> list[dict[str, Any]]:
    """A chart for every metric that is known by emotion; none without images."""
    methods = list(metrics.in_order().values())
    rows = [emotion for emotion in EMOTIONS if any(emotion in method.per_emotion for method in methods)]
    if not rows:
        return []
    charts = []
    for metric, definition in DEFINITIONS.items():
        real = {} if metrics.reference is None else _series(metrics.reference, metric).values
        series = [_series(method, metric) for method in methods]
        drawn = dot_chart(rows, series, real, name=f"{definition.title}-per-emotion", percent=metric == "emo_a")
        charts.append(_chart(definition.title, tables.meaning(metric, EmotionMetrics), drawn))
    return charts


def _series(method: MethodMetrics, metric: str) -> Series:
    found = method.per_emotion
    intervals = {emotion: numbers.intervals[metric] for emotion, numbers in found.items() if metric in numbers.intervals}
    return Series({emotion: getattr(numbers, metric) for emotion, numbers in found.items()}, intervals)


def _training_charts(training: TrainingPart) -> list[dict[str, Any]]:
    """Both losses over the steps, overall and by emotion."""
    shown = (("L_LDM", "error of the predicted noise", training.diffusion), ("L_SEM", "distance from the captions", training.semantic))
    charts = []
    for title, note, curves in shown:
        parts = [curves.per_emotion.get(emotion, [None] * len(training.steps)) for emotion in EMOTIONS]
        charts.append(_chart(title, note, line_chart(training.steps, curves.overall, parts, name=f"{title}-over-the-training")))
    return charts


def _chart(title: str, note: str, svg: str) -> dict[str, Any]:
    return {"title": title, "note": note, "svg": Markup(svg)}  # noqa: S704 our own SVG
