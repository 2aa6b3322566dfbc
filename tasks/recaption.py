"""Prefect tasks of recaptioning besides captioning itself: choose the pictures, compare the outcome.

Without Prefect: `coemogen_core.captioning.recaption`.
"""

from prefect import task

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recaption.candidates import RecaptionReasons, find_candidates
from coemogen_core.captioning.recaption.outcome import (
    ReasonCount,
    candidate_parts,
    was_chosen,
    write_choice,
    write_outcome,
)
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.curation.decisions import DecisionsRecord
from coemogen_core.storage.workspace import Workspace
from tasks.options import STORED


@task(name="choose pictures", task_run_name="choose pictures of {run_id}", **STORED)
def choose_task(
    workspace_uri: str,
    record: DecisionsRecord,
    run_id: str,
    recipe: CaptionRecipe,
    recipe_id: str,
    reasons: RecaptionReasons,
    max_tries: int,
    max_images: int | None,
) -> list[str]:
    """Choose the pictures to caption again and keep the choice under the run's id; returns their image parts. See `find_candidates`.

    A run that is started again goes on with the pictures it had chosen.
    """
    workspace, dataset = Workspace(workspace_uri), record.recipe.dataset
    if not was_chosen(workspace, dataset, run_id):
        found = find_candidates(workspace, record, recipe, recipe_id, reasons, max_tries, max_images)
        write_choice(workspace, dataset, run_id, found)
    return candidate_parts(workspace, dataset, run_id)


@task(name="compare captions", task_run_name="compare captions of {run_id}", **STORED)
def compare_task(
    workspace_uri: str, record: DecisionsRecord, run_id: str, recipe_id: str, policy: CaptionPolicy, encoder_id: str
) -> list[ReasonCount]:
    """Old and new captions side by side, and which became current. See `write_outcome`."""
    return write_outcome(Workspace(workspace_uri), record, run_id, recipe_id, policy, encoder_id)
