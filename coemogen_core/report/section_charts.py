"""The charts of the report's sections: which numbers stand in which, and what they are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from coemogen_core.emotions import EMOTIONS
from coemogen_core.report.charts import Series, dot_chart, forest_chart, line_chart
from coemogen_core.report.data import MapPart, ReportData, TrainingPart
from coemogen_core.report.map import emotion_middles, map_chart
from coemogen_core.report.tables import METRIC_LABELS
from schemas.metrics import METRIC_NAMES, MethodMetrics, Metrics

CHARTS = {
    "fid": ("FID", "to the real images of that emotion"),
    "cmmd": ("CMMD", "to the real images of that emotion"),
    "precision": ("Precision", "among the real ones of that emotion"),
    "recall": ("Recall", "of the real ones of that emotion"),
    "emo_a": ("Emo-A", "recognised by the probe"),
    "sem_c": ("Sem-C", "clarity"),
    "sem_d": ("Sem-D", "semantic diversity"),
    "lpips": ("LPIPS", "perceptual diversity"),
    "brightness": ("Brightness", "mean luma"),
    "colourfulness": ("Colourfulness", "Hasler and Süsstrunk"),
}


def overall_charts(data: ReportData) -> list[dict[str, Any]]:
    """Every metric of all methods with its interval; none with a single method, whose numbers the table says as well."""
    methods = data.metrics.in_order()
    if len(methods) < 2:
        return []
    real = data.metrics.reference
    charts = []
    for metric in METRIC_NAMES:
        estimates = {data.labels[name]: found.estimate(metric) for name, found in methods.items()}
        if all(estimate.value is None for estimate in estimates.values()):
            continue
        line = None if real is None else real.estimate(metric).value
        title, percent = METRIC_LABELS[metric], metric == "emo_a"
        charts.append({"title": title, "note": "", "svg": Markup(forest_chart(estimates, line, name=f"{metric}-overall", percent=percent))})  # noqa: S704 our own SVG
    return charts


def map_charts(part: MapPart, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """A panel for the real pictures and for every method, all on the same axes; in the methods' panels the real emotions' middles, too."""
    real = part.panels[0]
    everything = np.array([position for panel in part.panels for position in panel.positions])
    limits = everything.min(axis=0), everything.max(axis=0)
    middles = emotion_middles(real.positions, real.emotions)
    names = ["map-of-real-images", *(f"map-of-method-{index}" for index in range(1, len(part.panels)))]
    return [
        {
            "title": "real images" if panel.name is None else labels[panel.name],
            "note": f"{len(panel.positions):,} of {panel.images:,}",
            "svg": Markup(map_chart(panel.positions, panel.emotions, middles, limits, name=name)),  # noqa: S704 our own SVG
        }
        for name, panel in zip(names, part.panels, strict=True)
    ]


def emotion_charts(metrics: Metrics) -> list[dict[str, Any]]:
    """A chart for every metric that is known by emotion; none without images."""
    methods = list(metrics.in_order().values())
    rows = [emotion for emotion in EMOTIONS if any(emotion in method.per_emotion for method in methods)]
    if not rows:
        return []
    return [
        {"title": title, "note": note, "svg": Markup(_chart(metric, title, rows, methods, metrics.reference))}  # noqa: S704 our own SVG
        for metric, (title, note) in CHARTS.items()
    ]


def training_charts(training: TrainingPart) -> list[dict[str, Any]]:
    """Both losses over the steps, overall and by emotion."""
    shown = (("L_LDM", "error of the predicted noise", training.diffusion), ("L_SEM", "distance from the captions", training.semantic))
    return [
        {
            "title": title,
            "note": note,
            "svg": Markup(  # noqa: S704 our own SVG
                line_chart(
                    training.steps,
                    curves.overall,
                    [curves.per_emotion.get(emotion, [None] * len(training.steps)) for emotion in EMOTIONS],
                    name=f"{title}-over-the-training",
                )
            ),
        }
        for title, note, curves in shown
    ]


def _chart(metric: str, title: str, rows: Sequence[str], methods: Sequence[MethodMetrics], real: MethodMetrics | None) -> str:
    series = [
        Series(
            {emotion: getattr(found, metric) for emotion, found in method.per_emotion.items()},
            {emotion: found.intervals[metric] for emotion, found in method.per_emotion.items() if metric in found.intervals},
        )
        for method in methods
    ]
    reference = {} if real is None else {emotion: getattr(found, metric) for emotion, found in real.per_emotion.items()}
    return dot_chart(rows, series, reference, name=f"{title}-per-emotion", percent=metric == "emo_a")
