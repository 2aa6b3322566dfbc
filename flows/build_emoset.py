"""build-emoset: labelled photos -> captioned, filtered training corpus.

Wraps ingestion, embedding, captioning, alignment and curation of `coemogen_core` (paper, section on the training corpus). Without
Prefect: call the `*_part` functions of the core for every part in this order.
"""

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.curation.selection import Selection
from flows.corpus_stages import caption_and_align, decide_corpus, ingest_source, require_labels
from flows.deployed_run import pausable_run
from flows.params import BuildEmosetParams
from flows.stages import Stages
from schemas.outcomes import CorpusOutcome
from tasks.ingest import embed_part_task


@flow(name=BuildEmosetParams.flow, task_runner=ThreadPoolTaskRunner(max_workers=1))
def build_emoset(params: BuildEmosetParams) -> CorpusOutcome:
    """Build the training corpus; what stands already in the workspace is not computed again."""
    if params.pause_for_audit:
        pausable_run()
    with Stages(params.flow, params.workspace, params.dataset, params.execution) as stages:
        return stages.completed(_build(stages, params))


def _build(stages: Stages, params: BuildEmosetParams) -> CorpusOutcome:
    name = params.source.name
    selection = Selection()
    parts = ingest_source(stages, params.source, params.part_size)
    require_labels(stages, params.source, parts, selection)
    stages.each_part("embed", embed_part_task, parts, source=name, recipe=params.encoder)
    caption_and_align(stages, params, parts, selection)
    curation = decide_corpus(stages, name, parts, params.curation_recipe(selection), audited=params.pause_for_audit)
    return CorpusOutcome(dataset=params.dataset, version=curation.version, stages=stages.outcomes)
