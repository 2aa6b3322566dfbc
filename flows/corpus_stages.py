"""Stages that both corpus flows share: ingest a source, caption and align it, decide what stays."""

from typing import Any

from coemogen_core.captioning.attempts import most_frequent_failures
from coemogen_core.captioning.caption_part import has_due
from coemogen_core.curation.decide import CurationOutcome
from coemogen_core.curation.decisions import CurationRecipe, beside_decisions, mark_current
from coemogen_core.curation.funnel import FUNNEL, funnel_line, write_funnel
from coemogen_core.curation.selection import Selection
from coemogen_core.data.ingest import most_frequent_rejections
from coemogen_core.storage.workspace import Workspace
from flows.artifacts import publish_markdown
from flows.captioner import parts_at_once, running_captioner
from flows.deployed_run import suspend_for_audit
from flows.params import CorpusParams, Source
from flows.progress import say
from flows.stages import Stages
from schemas.outcomes import StageOutcome
from tasks.caption import caption_part_task
from tasks.curate import align_captions_task, decide_task, group_near_duplicates_task
from tasks.ingest import finish_source_task, ingest_part_task, plan_source_task, retire_parts_task, update_index_task


def ingest_source(stages: Stages, source: Source, part_size: int, stage: str = "ingest") -> list[str]:
    """Plan and ingest a picture set; returns the names of its parts.

    The index of pictures is brought up to date before, for what other sources hold, and afterwards, so that every later stage finds the
    rows that stand somewhere already. Parts that the source no longer has go when their successors are there, and no current version of a
    dataset names them (`decide_corpus`).

    Raises:
        ValueError: not one entry of the source is a picture that can be used; the message says why.
    """
    listed = source.name, source.layout, source.root, source.licence, part_size, source.image_column
    parts = plan_source_task(stages.workspace.uri, *listed)
    update_index_task(stages.workspace.uri)
    if not stages.each_part(stage, ingest_part_task, parts, source=source.name).rows:
        reasons = most_frequent_rejections(stages.workspace, source.name, parts)
        raise ValueError(
            f"source {source.name!r} ({source.root}) has no usable picture; rejected: {reasons}; the table rejected/{source.name} lists all"
        )
    finish_source_task(stages.workspace.uri, source.name, part_size)
    return parts


def caption_and_align(stages: Stages, params: CorpusParams, parts: list[str], selection: Selection) -> None:
    """Caption the selected pictures of every part, and score the captions that the policy may choose from."""
    workspace, source = stages.workspace, params.source.name

    def anything_due() -> bool:
        wanted = ((part, selection.wanted(workspace, source, part)) for part in parts)
        return any(has_due(workspace, source, part, rows, params.caption, params.captioner) for part, rows in wanted)

    with running_captioner(params.captioner, workspace, anything_due) as captioner:
        asked: dict[str, Any] = {"source": source, "selection": selection, "recipe": params.caption, "settings": captioner}
        outcome = stages.each_part("caption", caption_part_task, parts, at_once=parts_at_once(captioner), **asked)
    require_captions(workspace, source, parts, outcome, params.caption.recipe_id(captioner.backend))
    stages.each_part("align", align_captions_task, parts, source=source, policy=params.caption_policy, recipe=params.encoder)


def require_labels(stages: Stages, source: Source, parts: list[str], selection: Selection) -> None:
    """Make sure that there is something to caption.

    Raises:
        ValueError: no picture of the source has a label that is wanted.
    """
    pictures = 0
    for part in parts:  # one after the other: the first says that all is well
        judged = selection.judge(stages.workspace, source.name, part)
        pictures += judged.height
        if judged["reason"].has_nulls():
            return
    left_out = most_frequent_rejections(stages.workspace, source.name, parts)
    found = f"; left out: {left_out}" if left_out else ""
    wanted = ", ".join(selection.emotions)
    raise ValueError(
        f"not one of the {pictures:,} pictures of {source.name!r} ({source.root}) has one of the labels {wanted}"
        f"{found}: check the layout ({source.layout}) and what names the emotions"
    )


def require_captions(workspace: Workspace, source: str, parts: list[str], outcome: StageOutcome, recipe_id: str) -> None:
    """Say which pictures got no caption and why, and make sure that captioning did not fail altogether.

    Raises:
        ValueError: pictures were asked for, and not one has a caption; the message holds the commonest reasons.
    """
    failed = outcome.dropped
    if not failed or not (reasons := most_frequent_failures(workspace, source, parts, recipe_id)):
        return
    if outcome.recomputed_nothing:
        reasons += (
            "; none was asked in this run: they were asked captioner.max_attempts times, or would be answered the same; "
            "`--set captioner.max_attempts=N` with a larger N asks those again that the server failed at"
        )
    if not outcome.rows:
        raise ValueError(f"not one of {failed:,} pictures of {source!r} got a caption: {reasons}")
    say(f"{failed:,} pictures of {source!r} have no caption: {reasons}", "[yellow]![/]")


def decide_corpus(
    stages: Stages, source: str, parts: list[str], recipe: CurationRecipe, appendix: str = "", *, audited: bool = False
) -> CurationOutcome:
    """Decide every picture, make this version the current one, and show the funnel, with whatever Markdown belongs below it.

    With `audited`, the run waits for a person before its version becomes the current one.
    """
    workspace = stages.workspace
    if recipe.near_duplicates is not None:
        with stages.stage("near-duplicates") as done:
            done.append(group_near_duplicates_task(workspace.uri, source, parts, recipe.encoder_id, recipe.near_duplicates))
    with stages.stage("curate") as done:
        curation = decide_task(workspace.uri, source, parts, recipe)
        done += curation.parts
    if audited:
        suspend_for_audit(workspace, recipe.dataset, curation.version)
    mark_current(workspace, recipe.dataset, curation.version)
    retire_parts_task(workspace.uri, source)
    publish_markdown(f"funnel-{recipe.dataset}", write_funnel(workspace, recipe.dataset, curation.version) + appendix)
    say(funnel_line(workspace.read_json(*beside_decisions(recipe.dataset, curation.version, FUNNEL))))
    return curation
