"""Prefect tasks of captioning, for the first time and again: choose the pictures, caption a part, compare the outcome.

Without Prefect: `coemogen_core.captioning.caption_part` and `.recaption`.
"""

from functools import partial

from prefect import task

from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recaption.candidates import RecaptionReasons, find_candidates
from coemogen_core.captioning.recaption.outcome import (
    Choice,
    ReasonCount,
    candidate_parts,
    open_run,
    read_candidates,
    write_choice,
    write_outcome,
)
from coemogen_core.captioning.recipe import BackendSettings, CaptionRecipe
from coemogen_core.curation.decisions import DecisionsRecord
from coemogen_core.curation.selection import Selection
from coemogen_core.recipe import recipe_id as hashed
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from tasks.limits import captioner_slot
from tasks.options import STORED, shown


@task(name="caption part", task_run_name="caption {source}/{part}", **STORED)
def caption_part_task(
    workspace_uri: str, source: str, part: str, selection: Selection, recipe: CaptionRecipe, settings: BackendSettings
) -> PartOutcome:
    """Caption the selected pictures of one part, with the emotion of the selection as prior. See `caption_part`.

    A server that has gone away is waited for as long as the settings say; what was captioned before is kept.
    """
    workspace = Workspace(workspace_uri)
    wanted = selection.wanted(workspace, source, part)
    return shown(caption_part(workspace, source, part, wanted, recipe, settings, slot=partial(captioner_slot, settings)))


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
) -> Choice:
    """Choose the pictures to caption again, and keep the choice under the run's id. See `find_candidates`.

    A run that is started again, and one that asks the same as a run that did not end well, goes on with the pictures of that one: what it
    was answered is not asked again.
    """
    workspace, dataset = Workspace(workspace_uri), record.recipe.dataset
    asked = {"version": record.version, "recipe": recipe_id, "reasons": reasons.identity, "tries": max_tries, "images": max_images}
    choice_id = hashed("choice", asked)
    chosen = open_run(workspace, dataset, choice_id)
    if chosen is None:
        found = find_candidates(workspace, record, recipe, recipe_id, reasons, max_tries, max_images)
        write_choice(workspace, dataset, run_id, choice_id, found)
    run = chosen or run_id
    return Choice(run_id=run, choice_id=choice_id, parts=tuple(candidate_parts(workspace, dataset, run)))


@task(name="recaption part", task_run_name="recaption {source}/{part}", **STORED)
def recaption_part_task(
    workspace_uri: str,
    source: str,
    part: str,
    dataset: str,
    run_id: str,
    recipe: CaptionRecipe,
    settings: BackendSettings,
    stop_at: float | None,
) -> PartOutcome:
    """Caption the candidates of one part anew; after `stop_at` (seconds since 1970) nothing more is asked. See `caption_part`."""
    workspace = Workspace(workspace_uri)
    candidates = read_candidates(workspace, dataset, run_id, part).select("image_id", "emotion", "after_attempt")
    return shown(caption_part(workspace, source, part, candidates, recipe, settings, stop_at, slot=partial(captioner_slot, settings)))


@task(name="compare captions", task_run_name="compare captions of {run_id}", **STORED)
def compare_task(
    workspace_uri: str, record: DecisionsRecord, run_id: str, recipe_id: str, policy: CaptionPolicy, encoder_id: str
) -> list[ReasonCount]:
    """Old and new captions side by side, and which became current. See `write_outcome`."""
    return write_outcome(Workspace(workspace_uri), record, run_id, recipe_id, policy, encoder_id)
