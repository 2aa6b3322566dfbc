"""An ablation study as people read it: mean and standard deviation over the seeds, beside the paper's order."""

from dataclasses import dataclass

from coemogen_core.experiments.ablation_variants import PAPER_EMO_A, VARIANTS
from coemogen_core.experiments.table import Spread, spread_of, text_of
from schemas.ablations import Ablations, VariantName
from schemas.metrics import METRIC_NAMES, MetricName


@dataclass(frozen=True)
class VariantSummary:
    """All metrics of one variant."""

    variant: VariantName
    seeds: int
    metrics: dict[MetricName, Spread]


def summarise(ablations: Ablations) -> list[VariantSummary]:
    """A summary of every variant that has runs, in the order of VARIANTS."""
    summaries = []
    for variant in VARIANTS:
        runs = [run.metrics for run in ablations.runs if run.variant == variant]
        values = {name: [metrics[name] for metrics in runs if name in metrics] for name in METRIC_NAMES}
        if runs:
            summaries.append(VariantSummary(variant, len(runs), {name: spread_of(found) for name, found in values.items() if found}))
    return summaries


def markdown_table(ablations: Ablations) -> str:
    """The study as a Markdown table, the paper's Emo-A in its last column."""
    lines = [f"| variant | seeds | {' | '.join(METRIC_NAMES)} | paper's emo_a |", f"|---|{'---:|' * (len(METRIC_NAMES) + 2)}"]
    for summary in summarise(ablations):
        cells = [text_of(summary.metrics.get(name)) for name in METRIC_NAMES]
        paper = PAPER_EMO_A.get(summary.variant)
        lines.append(f"| {' | '.join([summary.variant, str(summary.seeds), *cells, '' if paper is None else f'{paper:.4f}'])} |")
    return "\n".join(lines)


def remark_on_order(ablations: Ablations) -> str:
    """The paper's order by Emo-A, and the one found here among the same variants."""
    found = {summary.variant: summary.metrics["emo_a"].mean for summary in summarise(ablations) if "emo_a" in summary.metrics}
    paper = ", ".join(f"{variant} {100 * value:.1f} %" for variant, value in PAPER_EMO_A.items())
    remark = (
        f"The paper's order by Emo-A (Stable Diffusion 1.5 on EmoSet): {paper}; of the forms of L_SEM the cosine, which full has, wins."
    )
    shared = sorted((variant for variant in PAPER_EMO_A if variant in found), key=lambda variant: -found[variant])
    if len(shared) < 2:
        return remark
    same = shared == [variant for variant in PAPER_EMO_A if variant in found]
    return f"{remark} Here: {', '.join(shared)}: {'the same order' if same else 'another order'} of the means."
