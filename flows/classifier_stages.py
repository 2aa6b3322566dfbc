"""Stages of build-emoart that make the emotion classifier, and those that examine it."""

from coemogen_core.classifier.classifier_report import (
    agreement_line,
    agreement_markdown,
    styles_markdown,
    validation_line,
    validation_markdown,
)
from coemogen_core.classifier.cross_validation import CrossValidation
from coemogen_core.classifier.human_ratings import RatingsKind
from coemogen_core.data.part_plan import current_parts
from flows.artifacts import publish_markdown
from flows.corpus_stages import ingest_source
from flows.params import BuildEmoartParams
from flows.progress import say
from flows.stages import Stages, on_worker
from schemas.outcomes import PartOutcome
from tasks.curate import (
    audit_styles_task,
    compare_with_ratings_task,
    cross_validate_task,
    import_published_head_task,
    train_classifier_task,
)
from tasks.ingest import embed_part_task


def make_classifier(stages: Stages, params: BuildEmoartParams) -> tuple[str, str | None]:
    """Import the published head, or train a classifier on the labelled set and cross-validate its recipe where that is wanted.

    Returns:
        The classifier's id, and the id of the cross-validation or None.
    """
    encoder_id = params.classifier_encoder.encoder_id
    if params.published_head is not None:
        return on_worker(import_published_head_task, params.workspace, params.published_head, encoder_id), None
    parts = _labelled_parts(stages, params)
    stages.each_part("embed-labelled", embed_part_task, parts, source=params.labelled_source, recipe=params.classifier_encoder)
    validation = _cross_validate(stages, params, parts, encoder_id)
    with stages.stage("classifier") as done:
        trained = on_worker(train_classifier_task, params.workspace, params.labelled_source, parts, encoder_id, params.probe)
        card = trained.card
        done.append(PartOutcome(part=card.classifier_id, rows=card.train_rows, reused=trained.reused, seconds=trained.seconds))
    return card.classifier_id, validation.validation_id if validation else None


def examine_classifier(stages: Stages, params: BuildEmoartParams, parts: list[str], classifier_id: str, validation_id: str | None) -> str:
    """Compare the classifier with people where there are ratings, audit it per style; returns the audit's table as Markdown."""
    workspace, source = params.workspace, params.source.name
    with stages.stage("examine") as done:
        if params.valence_ratings is not None:
            _compare(params, params.labelled_source, "oasis", params.valence_ratings, classifier_id, validation_id)
        if params.art_ratings is not None:
            _compare(params, source, "wikiart-emotions", params.art_ratings, classifier_id, None)
        scored = {"classifier_id": classifier_id, "encoder": params.encoder, "min_confidence": params.min_confidence}
        outcome = on_worker(audit_styles_task, workspace, params.dataset, source, parts, **scored)
        audit = outcome.report
        done.append(PartOutcome(part=audit.audit_id, rows=audit.overall.pictures if audit.overall else 0, reused=outcome.reused))
    return "\n" + styles_markdown(audit)


def _labelled_parts(stages: Stages, params: BuildEmoartParams) -> list[str]:
    if params.labelled_set is not None:
        return ingest_source(stages, params.labelled_set, params.part_size, stage="ingest-labelled")
    parts = current_parts(stages.workspace, params.labelled_source)
    if not parts:
        place = stages.workspace.path("images", params.labelled_source)
        raise FileNotFoundError(f"{place} has no parts: run build-emoset on the labelled set first, or say where it is (labelled_set)")
    return parts


def _cross_validate(stages: Stages, params: BuildEmoartParams, parts: list[str], encoder_id: str) -> CrossValidation | None:
    if params.cross_validation is None:
        return None
    recipes = params.probe, params.cross_validation
    with stages.stage("cross-validate") as done:
        outcome = on_worker(cross_validate_task, params.workspace, params.labelled_source, parts, encoder_id, *recipes)
        report = outcome.report
        done.append(PartOutcome(part=report.validation_id, rows=report.rows, reused=outcome.reused, seconds=outcome.seconds))
    say(validation_line(report))
    publish_markdown(f"classifier-{params.dataset}", validation_markdown(report))
    return report


def _compare(params: BuildEmoartParams, source: str, kind: RatingsKind, file: str, classifier_id: str, validation_id: str | None) -> None:
    agreement = on_worker(compare_with_ratings_task, params.workspace, params.dataset, source, kind, file, classifier_id, validation_id)
    say(agreement_line(agreement))
    publish_markdown(f"agreement-{kind}-{params.dataset}", agreement_markdown(agreement))
