"""The numbers of a run as a table on the terminal."""

from rich.table import Table

from coemogen_core.evaluation.report.tables import METRIC_LABELS
from schemas.metrics import METRIC_NAMES, Estimate, Metrics


def metrics_table(metrics: Metrics, title: str) -> Table:
    """Metrics by methods, the real images last; each number with its interval, or the reason why there is none."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    sets = dict(metrics.in_order()) | ({} if metrics.reference is None else {"real images": metrics.reference})
    for method, measured in sets.items():
        table.add_column(f"{method}\n[dim]{measured.images:,} images[/dim]", justify="right", overflow="fold")
    for name in METRIC_NAMES:
        table.add_row(METRIC_LABELS[name], *(_cell(measured.estimate(name)) for measured in sets.values()))
    return table


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"[dim]{estimate.reason}[/dim]"
    interval = f"{estimate.low:.4g} to {estimate.high:.4g}" if estimate.low is not None else estimate.reason
    return f"{estimate.value:.4g}\n[dim]{interval}[/dim]"
