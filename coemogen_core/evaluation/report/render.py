"""Report data to one HTML file that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from coemogen_core.ablation.summary import remark_on_order
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.report import tables
from coemogen_core.evaluation.report.charts import Series, dot_chart, line_chart
from coemogen_core.evaluation.report.data import ReportData, TrainingPart
from coemogen_core.evaluation.report.pictures import display_width, is_pixel_art
from schemas.ablations import Ablations
from schemas.metrics import METRIC_NAMES, MethodMetrics, Metrics

FOLDER = Path(__file__).parent
PALETTE = 8
CHARTS = {
    "emo_a": ("Emo-A", "recognised by the probe"),
    "sem_c": ("Sem-C", "clarity"),
    "sem_d": ("Sem-D", "semantic diversity"),
    "lpips": ("LPIPS", "perceptual diversity"),
    "brightness": ("Brightness", "mean luma"),
    "colourfulness": ("Colourfulness", "Hasler and Süsstrunk"),
}


def render_report(data: ReportData) -> str:
    """The report as HTML. Everything that comes from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": tables.number, "display_width": display_width, "is_pixel_art": is_pixel_art}
    methods = list(data.metrics.in_order())
    page = environment.get_template("report.html.jinja").render(
        data=data,
        css=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 our own file
        methods=methods,
        labels=data.labels,
        colours={method: index % PALETTE for index, method in enumerate(methods)},
        emotions=EMOTIONS,
        summary=_summary(data),
        figures=_figures(data),
        sections=_sections(data),
        interval_note=_interval_note(data.metrics),
        table_note=_table_note(data.metrics),
        metric_table={"columns": _columns(data.metrics), "rows": tables.metric_rows(data.metrics)},
        charts=_charts(data.metrics),
        training_charts=_training_charts(data.training),
        emotion_columns=tables.EMOTION_COLUMNS,
        polarity=tables.polarity_rows(data.metrics),
        ablation=None if data.ablations is None else _ablation(data.ablations),
        matrices=_matrices(data, methods),
        timings=_timings(data.metrics),
        configuration=tables.flat_configuration(data.metrics.configuration),
    )
    return page.lstrip()


def _summary(data: ReportData) -> str:
    shares = [
        f"{tables.number(method.emo_a.value, 'emo_a')} of the images by {data.labels[name]}"
        for name, method in data.metrics.in_order().items()
        if method.emo_a.value is not None
    ]
    if not shares:
        return "Too few images were made to measure anything."
    listed = shares[0] if len(shares) == 1 else ", ".join(shares[:-1]) + " and " + shares[-1]
    return f"An independent judge recognises the intended emotion in {listed}."


def _figures(data: ReportData) -> list[dict[str, str]]:
    """The tiles below the headline: the first method's numbers, with the others' beside them."""
    methods = data.metrics.in_order()
    figures = []
    for name in ("emo_a", "fid", "sem_d"):
        values = {method: found.estimate(name).value for method, found in methods.items()}
        (first, value), *others = values.items() if values else [("", None)]
        if value is None:
            continue
        notes = [f"{data.labels[other]} {tables.number(number, name)}" for other, number in others]
        if name == "sem_d" and data.metrics.reference is not None:
            notes.append(f"real images {tables.number(data.metrics.reference.sem_d.value, name)}")
        title = f"{tables.METRIC_LABELS[name].split()[0]}, {data.labels[first]}"
        figures.append({"name": title, "value": tables.number(value, name), "note": "; ".join(notes)})
    if data.metrics.emoart is not None:
        art = data.metrics.emoart
        note = f"of {art.candidates:,}" + (
            "" if art.precision is None else f"; {tables.number(art.precision, 'emo_a')} carry their true emotion"
        )
        figures.append({"name": "Paintings in EmoArt", "value": f"{art.kept:,}", "note": note})
    return figures


def _sections(data: ReportData) -> list[tuple[str, str]]:
    found = [("gallery", "Gallery"), ("metrics", "Metrics"), ("emotions", "Emotion by emotion"), ("confusion", "What the judge saw")]
    found += [("ablations", "Ablations")] if data.ablations else []
    found += [("captions", "Captions")] if data.photos else []
    found += [("emoart", "EmoArt")] if data.art else []
    found += [("training", "Training")] if data.training else []
    return [*found, ("run", "The run")]


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


def _charts(metrics: Metrics) -> list[dict[str, Any]]:
    methods = list(metrics.in_order().values())
    rows = [emotion for emotion in EMOTIONS if any(emotion in method.per_emotion for method in methods)]
    if not rows:
        return []
    return [
        {"title": title, "note": note, "svg": Markup(_chart(metric, title, rows, methods, metrics.reference))}  # noqa: S704 our own SVG
        for metric, (title, note) in CHARTS.items()
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


def _training_charts(training: TrainingPart | None) -> list[dict[str, Any]]:
    """Both losses over the steps, overall and by emotion."""
    if training is None:
        return []
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


def _matrices(data: ReportData, methods: Sequence[str]) -> list[dict[str, Any]]:
    """A matrix for every method and probe."""
    found = []
    for index, method in enumerate(methods):
        for identity, probe in data.metrics.methods[method].probes.items():
            commonest = (
                "" if probe.majority_share is None else f"commonest answer: {probe.majority_emotion}, {100 * probe.majority_share:.0f} %"
            )
            found.append(
                {
                    "name": data.labels[method],
                    "note": f"{identity}; {commonest}",
                    "colour": f"var(--method-{index % PALETTE})",
                    "rows": tables.confusion_rows(probe.confusion),
                }
            )
    return found


def _ablation(ablations: Ablations) -> dict[str, Any]:
    columns = [tables.METRIC_LABELS[name] for name in METRIC_NAMES]
    return {"columns": columns, "rows": tables.ablation_rows(ablations), "remark": remark_on_order(ablations)}


def _timings(metrics: Metrics) -> list[dict[str, Any]]:
    longest = max((stage.seconds for stage in metrics.stages.values()), default=0.0) or 1.0
    return [
        {"name": name, "rows": stage.rows, "reused": stage.reused, "time": tables.duration(stage.seconds), "share": stage.seconds / longest}
        for name, stage in metrics.stages.items()
    ]
