"""Prefect task of captioning: one image part. Without Prefect: `coemogen_core.captioning.caption_part`."""

from typing import Any

from prefect import task

from coemogen_core.captioning.backend import EndpointUnreachableError
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recaption.outcome import read_candidates
from coemogen_core.captioning.recipe import BackendSettings, CaptionRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.storage.passing_failure import may_pass
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from tasks.limits import captioner_place
from tasks.options import STORED, failed_of, shown


def captioning_may_go_on(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001  Prefect's signature
    """Whether the run failed because nothing answered at the endpoint or at the store: time mends that."""
    error = failed_of(state)
    return error is not None and (isinstance(error, EndpointUnreachableError) or may_pass(error))


PATIENT: dict[str, Any] = STORED | {"retry_delay_seconds": [10, 60, 300], "retry_condition_fn": captioning_may_go_on}
"""Options of a task that asks a captioner: it is tried again when nobody answered, and what was answered is kept."""


@task(
    name="caption part",
    task_run_name="caption {source}/{part}",
    **PATIENT,
)
def caption_part_task(
    workspace_uri: str, source: str, part: str, selection: Selection, recipe: CaptionRecipe, settings: BackendSettings
) -> PartOutcome:
    """Caption the selected pictures of one part, with the emotion of the selection as prior. See `caption_part`.

    A part whose server has gone away is tried again; what was captioned before is kept.
    """
    workspace = Workspace(workspace_uri)
    wanted = selection.wanted(workspace, source, part)
    with captioner_place(settings):
        return shown(caption_part(workspace, source, part, wanted, recipe, settings))


@task(
    name="recaption part",
    task_run_name="recaption {source}/{part}",
    **PATIENT,
)
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
    with captioner_place(settings):
        return shown(caption_part(workspace, source, part, candidates, recipe, settings, stop_at))
