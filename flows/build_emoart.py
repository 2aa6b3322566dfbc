"""build-emoart: unlabelled art -> scored, captioned, filtered, published EmoArt.

Wraps ingestion, embedding, the emotion classifier, captioning, alignment, curation and publication of `coemogen_core` (paper, section
on EmoArt). The classifier learns from a labelled source, which `build-emoset` has
ingested into the same workspace, or this flow does.
"""

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.curation.selection import Selection
from flows.classifier_stages import examine_classifier, make_classifier
from flows.corpus_stages import caption_and_align, decide_corpus, ingest_source
from flows.deployed_run import pausable_run
from flows.params import BuildEmoartParams
from flows.stages import Stages
from schemas.outcomes import CorpusOutcome
from tasks.curate import publish_task, score_part_task
from tasks.ingest import embed_part_task


@flow(name=BuildEmoartParams.flow, task_runner=ThreadPoolTaskRunner(max_workers=1))
def build_emoart(params: BuildEmoartParams) -> CorpusOutcome:
    """Build and publish EmoArt; what stands already in the workspace is not computed again."""
    if params.pause_for_audit:
        pausable_run()
    with Stages(params.flow, params.workspace, params.dataset, params.execution) as stages:
        return stages.completed(_build(stages, params))


def _build(stages: Stages, params: BuildEmoartParams) -> CorpusOutcome:
    name = params.source.name
    encoder_id = params.encoder.encoder_id
    parts = ingest_source(stages, params.source, params.part_size)
    stages.each_part("embed", embed_part_task, parts, source=name, recipe=params.encoder)
    scored_id = params.classifier_encoder.encoder_id
    if scored_id != encoder_id:
        stages.each_part("embed-classifier", embed_part_task, parts, source=name, recipe=params.classifier_encoder)
    classifier_id, validation_id = make_classifier(stages, params)
    stages.each_part("score", score_part_task, parts, source=name, encoder_id=scored_id, classifier_id=classifier_id)
    styles = examine_classifier(stages, params, parts, classifier_id, validation_id)
    selection = Selection.by_confidence(classifier_id, params.emotions, params.min_confidence)
    caption_and_align(stages, params, parts, selection)
    recipe = params.curation_recipe(selection)
    curation = decide_corpus(stages, name, parts, recipe, appendix=styles, audited=params.pause_for_audit)
    with stages.stage("publish") as done:
        done += publish_task(params.workspace, params.dataset, curation.version, name).parts
    return CorpusOutcome(dataset=params.dataset, version=curation.version, stages=stages.outcomes)
