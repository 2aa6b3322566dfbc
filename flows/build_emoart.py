"""build-emoart: unlabelled art -> scored, captioned, filtered, published EmoArt.

Wraps ingestion, embedding, the emotion classifier, captioning, alignment, curation and publication of `coemogen_core` (paper, section
on EmoArt). The classifier learns from a labelled source that `build-emoset` has ingested into the same workspace.
"""

import time
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.data.workspace import Workspace
from flows.corpus_stages import caption_and_align, decide_corpus, ingest_source
from flows.params import BuildEmoartParams
from flows.stages import Stages, on_worker
from schemas.outcomes import CorpusOutcome, PartOutcome
from tasks.curate import score_part_task, train_classifier_task
from tasks.embed import embed_part_task
from tasks.publish import publish_task


@flow(name="build-emoart", task_runner=ThreadPoolTaskRunner(max_workers=1), validate_parameters=True)
def build_emoart(params: BuildEmoartParams) -> CorpusOutcome:
    """Build and publish EmoArt; what stands already in the workspace is not computed again."""
    stages = Stages("build-emoart", params.workspace)
    name = params.source.name
    shared: dict[str, Any] = {"workspace_uri": params.workspace}
    encoder_id = params.encoder.encoder_id
    labelled_parts = _labelled_parts(params)
    parts = ingest_source(stages, params.workspace, params.source, params.part_size)
    stages.each_part("embed", embed_part_task, parts, **shared, source=name, recipe=params.encoder)
    stages.each_part("embed-labelled", embed_part_task, labelled_parts, **shared, source=params.labelled_source, recipe=params.encoder)
    classifier_id = _train_classifier(stages, params, labelled_parts, encoder_id)
    stages.each_part("score", score_part_task, parts, **shared, source=name, encoder_id=encoder_id, classifier_id=classifier_id)
    selection = Selection.by_confidence(classifier_id, params.emotions, params.min_confidence)
    caption_and_align(stages, params, name, parts, selection)
    recipe = CurationRecipe(
        dataset=params.dataset,
        selection=selection,
        captions=params.caption_policy,
        encoder_id=encoder_id,
        drop_fraction=params.drop_fraction,
        near_duplicates=params.near_duplicates,
    )
    curation = decide_corpus(stages, params.workspace, name, parts, recipe)
    started = time.monotonic()
    publication = publish_task(params.workspace, params.dataset, curation.version, name)
    stages.record("publish", publication.parts, time.monotonic() - started)
    return CorpusOutcome(dataset=params.dataset, version=curation.version, stages=stages.outcomes)


def _labelled_parts(params: BuildEmoartParams) -> list[str]:
    table = Workspace(params.workspace).table("images", params.labelled_source)
    parts = table.parts()
    if not parts:
        raise FileNotFoundError(f"{table.uri} has no parts: run build-emoset on the labelled set first, into the same workspace")
    return parts


def _train_classifier(stages: Stages, params: BuildEmoartParams, parts: list[str], encoder_id: str) -> str:
    started = time.monotonic()
    trained = on_worker(train_classifier_task, params.workspace, params.labelled_source, parts, encoder_id, params.probe)
    outcome = PartOutcome(part=trained.card.classifier_id, rows=trained.card.train_rows, reused=trained.reused, seconds=trained.seconds)
    stages.record("classifier", [outcome], time.monotonic() - started)
    return trained.card.classifier_id
