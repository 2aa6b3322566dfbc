"""What a flow run leaves in the workspace beside its tables: how long its stages took, and what it made."""

from typing import TypeVar

from prefect.runtime import flow_run

from coemogen_core.storage.workspace import Workspace
from flows.deployments import FLOWS
from schemas.outcomes import CorpusOutcome, RecaptionOutcome, RunOutcome, StageOutcome

Outcome = TypeVar("Outcome", CorpusOutcome, RecaptionOutcome, RunOutcome)
ORDER: list[str] = [flow.name for flow in FLOWS]


def describe(outcome: StageOutcome) -> str:
    """One line: stage, parts, rows, what was dropped or reused, time."""
    facts = [f"{outcome.rows:,} rows in {outcome.parts} part{'s' if outcome.parts != 1 else ''}"]
    if outcome.dropped:
        facts.append(f"{outcome.dropped:,} dropped")
    if outcome.recomputed_nothing:
        facts.append("nothing to do")
    elif outcome.reused_parts:
        facts.append(f"{outcome.reused_parts} reused")
    return f"{outcome.stage:<24} {', '.join(facts)} ({outcome.seconds:.1f} s)"


def keep_timing(workspace: Workspace, dataset: str, outcome: StageOutcome, number: int) -> None:
    """Keep the time of a stage, the number-th of a flow over a dataset, for `read_timings`.

    Of one that had nothing to do, the time before stays.
    """
    if not outcome.recomputed_nothing:
        flow, _, stage = outcome.stage.partition("/")
        record = {"outcome": outcome.model_dump(mode="json"), "order": [ORDER.index(flow), number]}
        workspace.write_json(record, "timings", dataset, flow, f"{stage}.json")


def read_timings(workspace: Workspace, *datasets: str) -> dict[str, float]:
    """Seconds that each stage took when it last computed something for these datasets, in running order.

    By `<flow>/<stage>`; with the dataset behind it, in brackets, where a dataset named earlier has a stage of that name.
    """
    outcomes: dict[str, tuple[list[int], float]] = {}
    for dataset in datasets:
        for flow in ORDER:
            for name in workspace.list_files("timings", dataset, flow):
                record = workspace.read_json("timings", dataset, flow, name)
                stage = record["outcome"]["stage"]
                taken = stage in outcomes
                outcomes[f"{stage} ({dataset})" if taken else stage] = (record["order"], record["outcome"]["seconds"])
    return {stage: seconds for stage, (_, seconds) in sorted(outcomes.items(), key=lambda item: item[1][0])}


def keep_outcome(workspace: Workspace, flow: str, outcome: Outcome) -> Outcome:
    """Keep what a flow run made, `outcomes/<flow>/<flow run>.json`; returns it."""
    workspace.write_file(outcome.model_dump_json(indent=2).encode(), "outcomes", flow, f"{flow_run.id}.json")
    return outcome
