"""The numbers of a run as tables on the terminal. Nothing is ever blank: what is missing says why, or is a dash."""

from collections.abc import Iterator, Mapping

from rich.markup import escape
from rich.table import Table

from coemogen_core.evaluation.definitions import DEFINITIONS, NumberName
from coemogen_core.report.tables import number, probe_verdict, reference_notes
from schemas.metrics import METRIC_NAMES, ColourMetrics, EmotionMetrics, Estimate, MethodMetrics, Metrics, ProbeAnswers

TABLES: tuple[tuple[NumberName, ...], ...] = (
    ("emo_a", "fid", "kid", "cmmd", "precision", "recall"),
    ("density", "coverage", "lpips", "sem_c", "sem_d"),
    ("brightness", "colourfulness"),
)


def metrics_table(metrics: Metrics, title: str) -> Table:
    """Metrics by methods, the real images last; each number with its interval, or the reason why there is none."""
    caption = escape(" ".join((f"Intervals: {100 * metrics.confidence_level:g} %.", *reference_notes(metrics))))
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("metric")
    sets = _sets(metrics)
    for method, measured in sets.items():
        table.add_column(f"{escape(method)}\n[dim]{measured.images:,} images[/dim]", justify="right", overflow="fold")
    for name in METRIC_NAMES:
        table.add_row(DEFINITIONS[name].label, *(_estimate(measured.estimate(name), name) for measured in sets.values()))
    for extra in dict.fromkeys(extra for measured in sets.values() for extra in measured.further):
        found = [measured.further.get(extra) for measured in sets.values()]
        table.add_row(escape(extra), *("–" if one is None else _estimate(one, extra) for one in found))
    return table


def probe_tables(metrics: Metrics) -> Iterator[Table]:
    """For every probe of Emo-A: what it says of every set of images, and whether its answers look collapsed."""
    sets = _sets(metrics)
    for identity in dict.fromkeys(identity for measured in sets.values() for identity in measured.probes):
        found = next(measured.probes[identity] for measured in sets.values() if identity in measured.probes)
        seen = " (through CLIP: not independent of a method that CLIP drives)" if found.through_clip else ""
        table = Table(title=f"Emo-A by {escape(identity)}{seen}", title_justify="left")
        table.add_column("")
        table.add_column("accuracy", justify="right", no_wrap=True)
        for column in ("majority\nbaseline", "commonest answer", "check"):
            table.add_column(column, overflow="fold")
        for method, measured in sets.items():
            if identity in measured.probes:
                table.add_row(escape(method), *_probe_cells(measured.probes[identity]))
        yield table


def emotion_tables(measured: MethodMetrics) -> Iterator[Table]:
    """The numbers of one method emotion by emotion, then by polarity and of all, in tables that fit 80 columns."""
    rows: dict[str, EmotionMetrics | ColourMetrics] = dict(measured.per_emotion)
    rows |= {name: found for name, found in measured.polarity.items() if found.images}
    rows |= {} if measured.colour is None else {"all": measured.colour}
    for metrics in TABLES:
        shown = {name: found for name, found in rows.items() if metrics[-1] in type(found).model_fields}
        table = Table(caption="–: not enough images of this emotion, or nothing to compare with", caption_justify="left")
        table.add_column("emotion")
        for column in ("images", *(DEFINITIONS[metric].title for metric in metrics)):
            table.add_column(column, justify="right")
        for name, found in shown.items():
            values = ("" if metric not in type(found).model_fields else number(getattr(found, metric), metric) for metric in metrics)
            table.add_row(name, f"{found.images:,}", *values)
        yield table


def _sets(metrics: Metrics) -> Mapping[str, MethodMetrics]:
    return dict(metrics.in_order()) | ({} if metrics.reference is None else {"real images": metrics.reference})


def _estimate(estimate: Estimate, metric: str) -> str:
    if estimate.value is None:
        return f"[dim]{escape(estimate.reason or '')}[/dim]"
    known = estimate.low is not None
    interval = f"{number(estimate.low, metric)} to {number(estimate.high, metric)}" if known else escape(estimate.reason or "")
    return f"{number(estimate.value, metric)}\n[dim]{interval}[/dim]"


def _probe_cells(probe: ProbeAnswers) -> tuple[str, str, str, str]:
    accuracy, interval, verdict = number(probe.accuracy, "emo_a"), probe.interval, probe_verdict(probe)
    if interval is not None:
        accuracy += f"\n[dim]{number(interval.low, 'emo_a')} to {number(interval.high, 'emo_a')}[/dim]"
    answer = "–" if probe.majority_share is None else f"{probe.majority_emotion}, {number(probe.majority_share, 'emo_a')}"
    return accuracy, number(probe.majority_baseline, "emo_a"), answer, f"[bold red]{verdict}[/bold red]" if probe.collapsed else verdict
