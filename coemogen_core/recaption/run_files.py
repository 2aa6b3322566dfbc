"""Files of one recaption run, below `recaption/<dataset>/<run id>/`: what was chosen, and what came of it."""

import polars as pl

from coemogen_core.data.workspace import Workspace
from coemogen_core.recaption.candidates import Candidates, Found

ROOT = "recaption"


def write_candidates(workspace: Workspace, dataset: str, run_id: str, candidates: pl.DataFrame) -> None:
    """Keep the choice, one part an image part, so that a run that is started again goes on with the same pictures."""
    table = workspace.table(ROOT, dataset, run_id, "candidates")
    for (part,), rows in candidates.group_by("part", maintain_order=True):
        table.write_part(str(part), rows, Candidates)


def candidate_parts(workspace: Workspace, dataset: str, run_id: str) -> list[str]:
    """Image parts that have candidates."""
    return workspace.table(ROOT, dataset, run_id, "candidates").parts()


def read_candidates(workspace: Workspace, dataset: str, run_id: str, part: str | None = None) -> pl.DataFrame:
    """Candidates of one image part, or of all; empty when there are none."""
    table = workspace.table(ROOT, dataset, run_id, "candidates")
    names = table.parts() if part is None else [part]
    return table.read(parts=names) if names else Candidates.create_empty()


def mark_chosen(workspace: Workspace, dataset: str, run_id: str, found: Found) -> None:
    """Write `chosen.json`, last: the choice is complete."""
    counts = {"chosen": found.candidates.height, "exhausted": found.exhausted, "over_budget": found.over_budget}
    workspace.write_json(counts, ROOT, dataset, run_id, "chosen.json")


def was_chosen(workspace: Workspace, dataset: str, run_id: str) -> bool:
    """Whether the choice of this run is complete."""
    return workspace.exists(ROOT, dataset, run_id, "chosen.json")


def chosen_counts(workspace: Workspace, dataset: str, run_id: str) -> dict[str, int]:
    """How many pictures were `chosen`, were left out because asking again is pointless (`exhausted`), or for the budget (`over_budget`)."""
    return dict(workspace.read_json(ROOT, dataset, run_id, "chosen.json"))
