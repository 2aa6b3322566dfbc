"""The charts of the report's sections: which numbers stand in which, and what they are called."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.report.charts import Series, dot_chart, line_chart
from coemogen_core.evaluation.report.data import TrainingPart
from schemas.metrics import MethodMetrics, Metrics

CHARTS = {
    "emo_a": ("Emo-A", "recognised by the probe"),
    "sem_c": ("Sem-C", "clarity"),
    "sem_d": ("Sem-D", "semantic diversity"),
    "lpips": ("LPIPS", "perceptual diversity"),
    "brightness": ("Brightness", "mean luma"),
    "colourfulness": ("Colourfulness", "Hasler and Süsstrunk"),
}


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
