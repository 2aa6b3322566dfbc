"""The sections of the report, in their order. A new one is a function here and a template of its name in `sections/`.

A function gets the whole input and gives what its template finds as `content`, or None where there is nothing to show: then the
section and its link are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coemogen_core.experiments.ablation_summary import remark_on_order
from coemogen_core.report import tables
from coemogen_core.report.data import ReportData
from coemogen_core.report.experiments import experiments_content
from coemogen_core.report.map import EMOTION_MARKS
from coemogen_core.report.section_charts import emotion_charts, map_charts, overall_charts, training_charts
from schemas.metrics import METRIC_NAMES, Metrics

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
        "charts": overall_charts(data),
        "interval_note": _interval_note(data.metrics),
        "table_note": _table_note(data.metrics),
    }


def _emotions(data: ReportData) -> Content:
    return {
        "charts": emotion_charts(data.metrics),
        "emotion_columns": tables.EMOTION_COLUMNS,
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
                    "colour": f"var(--method-{index % PALETTE})",
                    "rows": tables.confusion_rows(probe.confusion),
                }
            )
    return {"matrices": found}


def _failures(data: ReportData) -> Content | None:
    return {"parts": data.failures} if data.failures else None


def _map(data: ReportData) -> Content | None:
    return None if data.map is None else {"part": data.map, "panels": map_charts(data.map, data.labels), "marks": EMOTION_MARKS}


def _memorisation(data: ReportData) -> Content | None:
    return None if data.memorisation is None else {"part": data.memorisation}


def _ablations(data: ReportData) -> Content | None:
    if data.ablations is None:
        return None
    columns = [tables.METRIC_LABELS[name] for name in METRIC_NAMES]
    return {"columns": columns, "rows": tables.ablation_rows(data.ablations), "remark": remark_on_order(data.ablations)}


def _captions(data: ReportData) -> Content | None:
    return None if data.photos is None else {"corpus": data.photos}


def _emoart(data: ReportData) -> Content | None:
    return None if data.art is None else {"corpus": data.art, "numbers": data.metrics.emoart}


def _training(data: ReportData) -> Content | None:
    return None if data.training is None else {"charts": training_charts(data.training)}


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
    Section("experiments", "Comparison", experiments_content),
    Section("ablations", "Ablations", _ablations),
    Section("captions", "Captions", _captions),
    Section("emoart", "EmoArt", _emoart),
    Section("training", "Training", _training),
    Section("run", "The run", _run),
)


def _interval_note(metrics: Metrics) -> str:
    return f"Below each value: {100 * metrics.confidence_level:.0f} % bootstrap interval over the images, stratified by emotion."


def _table_note(metrics: Metrics) -> str:
    notes = ["A check marks the best value where its interval does not touch any other."]
    if metrics.reference is not None:
        split = "the test split" if metrics.reference.split == "test" else "all labelled images"
        notes.append(f"Real images: {metrics.reference.images:,} of “{metrics.reference.source}” ({split}); FID is measured against them.")
        notes.append("Diversity above that of real images is noise, far below it is collapse.")
    return " ".join(notes)


def _columns(metrics: Metrics) -> list[dict[str, str]]:
    first = next(iter(metrics.in_order().values()), None)
    return [
        {
            "label": tables.METRIC_LABELS[name],
            "meaning": tables.METRIC_MEANINGS[name],
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
