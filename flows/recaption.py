"""recaption: weak, failed or stale captions of a built dataset -> better ones.

Wraps the choice of pictures, captioning, alignment and curation of `coemogen_core`. Scheduled nightly in `prefect.yaml`; old captions stay,
and whether a new one becomes current is the policy's decision. Ends with a new version of the dataset's decisions, marked as current, and a
table of what was done and why.
"""

import time
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.captioning.recaption.outcome import Choice, ReasonCount, chosen_counts, end_run, examples, read_outcome
from coemogen_core.curation.decisions import DecisionsRecord, resolve_version, use_version
from coemogen_core.storage.workspace import Workspace
from flows.artifacts import publish_markdown, publish_table
from flows.captioner import parts_at_once, running_captioner
from flows.corpus_stages import decide_corpus, require_captions
from flows.params import RecaptionParams
from flows.stages import Stages, on_worker
from schemas.outcomes import RecaptionOutcome
from tasks.caption import choose_task, compare_task, recaption_part_task
from tasks.curate import align_captions_task


@flow(name=RecaptionParams.flow, task_runner=ThreadPoolTaskRunner(max_workers=1))
def recaption(params: RecaptionParams) -> RecaptionOutcome:
    """Caption the weakest pictures of a dataset again. After a run that did not end well, the same command goes on with its pictures."""
    with Stages(params.flow, params.workspace, params.dataset, params.execution) as stages:
        return stages.completed(_recaption(stages, params))


def _recaption(stages: Stages, params: RecaptionParams) -> RecaptionOutcome:
    started, workspace = time.time(), stages.workspace
    record = _record(workspace, params)
    run_id = flow_run.id or datetime.fromtimestamp(started, UTC).strftime("%Y%m%d-%H%M%S")
    recipe_id = params.caption.recipe_id(params.captioner.backend)
    budget = {"max_tries": params.max_tries, "max_images": params.max_images}
    choice = on_worker(choose_task, params.workspace, record, run_id, params.caption, recipe_id, params.reasons, **budget)
    run_id = choice.run_id
    _caption(stages, params, record, choice, stop_at=None if params.max_minutes is None else started + 60 * params.max_minutes)
    stages.each_part("align", align_captions_task, record.parts, source=record.source, policy=params.current, recipe=params.encoder)
    counts = on_worker(compare_task, params.workspace, record, run_id, recipe_id, params.current, params.encoder.encoder_id)
    recipe = record.recipe.model_copy(update={"captions": params.current})
    decided = decide_corpus(stages, record.source, list(record.parts), recipe)
    chosen = chosen_counts(workspace, params.dataset, run_id)
    _publish(workspace, params.dataset, run_id, counts, chosen)
    end_run(workspace, params.dataset, choice)
    return RecaptionOutcome(
        dataset=params.dataset,
        run_id=run_id,
        version=decided.version,
        chosen=chosen["chosen"],
        asked=sum(count.asked for count in counts),
        captioned=sum(count.captioned for count in counts),
        became_current=sum(count.became_current for count in counts),
        exhausted=chosen["exhausted"],
        over_budget=chosen["over_budget"],
        stages=stages.outcomes,
    )


def _record(workspace: Workspace, params: RecaptionParams) -> DecisionsRecord:
    record = use_version(workspace, params.dataset, resolve_version(workspace, params.dataset, params.version))
    if record.recipe.encoder_id != params.encoder.encoder_id:
        raise ValueError(
            f"captions of {params.dataset} were scored by {record.recipe.encoder_id}, and `encoder` is {params.encoder.encoder_id}: "
            "give the encoder that the dataset was built with, or build it again with this one"
        )
    return record


def _caption(stages: Stages, params: RecaptionParams, record: DecisionsRecord, choice: Choice, stop_at: float | None) -> None:
    parts = list(choice.parts)
    chosen: dict[str, Any] = {"source": record.source, "dataset": params.dataset, "run_id": choice.run_id}
    with running_captioner(params.captioner, stages.workspace, needed=lambda: bool(parts)) as captioner:
        asked = {"recipe": params.caption, "settings": captioner, "stop_at": stop_at}
        outcome = stages.each_part("caption", recaption_part_task, parts, at_once=parts_at_once(captioner), **chosen, **asked)
    require_captions(stages.workspace, record.source, parts, outcome, params.caption.recipe_id(captioner.backend))


def _publish(workspace: Workspace, dataset: str, run_id: str, counts: list[ReasonCount], chosen: dict[str, int]) -> None:
    """The table of reasons, and examples of what changed."""
    rows: list[dict[str, Any]] = [count.model_dump() for count in counts]
    left_out = f"{chosen['exhausted']} left alone (asked often enough), {chosen['over_budget']} beyond the budget"
    publish_table(f"recaption-{dataset}", rows or [{"reason": "none", "chosen": 0}], left_out)
    lines = [f"# Recaptioned {dataset}, run `{run_id}`", "", left_out, ""]
    for row in examples(read_outcome(workspace, dataset, run_id)):
        before = f"{row['caption_before'] or 'no caption'} ({_score(row['similarity_before'])})"
        lines += [f"- **{row['emotion']}**, {row['reason']}: {before} → {row['caption_after']} ({_score(row['similarity_after'])})"]
    publish_markdown(f"recaption-{dataset}-examples", "\n".join(lines) + "\n")


def _score(similarity: float | None) -> str:
    return "no score" if similarity is None else f"{similarity:.3f}"
