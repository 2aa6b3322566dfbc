"""Prefect tasks of the curation: align captions, train, import and examine the emotion classifier, score pictures, decide, publish.

Without Prefect: the functions of the same name in the packages of `coemogen_core` that are imported here.
"""

from collections.abc import Sequence
from functools import partial

from prefect import task

from coemogen_core.captioning.alignment import align_captions
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.classifier.classifier_store import score_part
from coemogen_core.classifier.cross_validation import FoldsRecipe, ValidationOutcome, cross_validate
from coemogen_core.classifier.emotion_probe import ProbeRecipe
from coemogen_core.classifier.human_ratings import RatingsKind
from coemogen_core.classifier.probe_training import TrainedClassifier, train_classifier
from coemogen_core.classifier.published_head import import_published_head
from coemogen_core.classifier.rating_agreement import RatingAgreement, compare_with_ratings
from coemogen_core.classifier.style_audit import StyleAuditOutcome, audit_styles
from coemogen_core.curation.decide import CurationOutcome, decide
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe, group_near_duplicates
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.publication.publication import Publication, publish
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from tasks.limits import device_slot
from tasks.options import STORED, shown


@task(name="align captions", task_run_name="align {source}/{part}", **STORED)
def align_captions_task(workspace_uri: str, source: str, part: str, policy: CaptionPolicy, recipe: EncoderRecipe) -> PartOutcome:
    """Score the captions of one image part, those that a policy may choose from, against its pictures. See `align_captions`."""
    return shown(align_captions(Workspace(workspace_uri), source, part, policy, recipe, slot=partial(device_slot, recipe.device)))


@task(name="train classifier", task_run_name="train classifier on {source}", **STORED)
def train_classifier_task(workspace_uri: str, source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe) -> TrainedClassifier:
    """Train, calibrate and measure the emotion classifier on a labelled source. See `train_classifier`."""
    return train_classifier(Workspace(workspace_uri), source, parts, encoder_id, recipe)


@task(name="import classifier", task_run_name="import {file}", **STORED)
def import_published_head_task(workspace_uri: str, file: str, encoder_id: str) -> str:
    """Make a published classifier head one of the workspace's classifiers. See `import_published_head`."""
    return import_published_head(Workspace(workspace_uri), file, encoder_id)


@task(name="cross-validate classifier", task_run_name="cross-validate classifier on {source}", **STORED)
def cross_validate_task(
    workspace_uri: str, source: str, parts: Sequence[str], encoder_id: str, recipe: ProbeRecipe, folds: FoldsRecipe
) -> ValidationOutcome:
    """Measure the classifier's recipe on pictures that it has not seen. See `cross_validate`."""
    return cross_validate(Workspace(workspace_uri), source, parts, encoder_id, recipe, folds)


@task(name="compare with ratings", task_run_name="compare {source} with {kind}", **STORED)
def compare_with_ratings_task(
    workspace_uri: str, dataset: str, source: str, kind: RatingsKind, file: str, classifier_id: str, validation_id: str | None
) -> RatingAgreement:
    """Compare a classifier's scores of a source, or a cross-validation's, with what people felt. See `compare_with_ratings`."""
    return compare_with_ratings(Workspace(workspace_uri), dataset, source, kind, file, classifier_id, validation_id)


@task(name="audit styles", task_run_name="audit styles of {source}", **STORED)
def audit_styles_task(
    workspace_uri: str, dataset: str, source: str, parts: Sequence[str], classifier_id: str, encoder: EncoderRecipe, min_confidence: float
) -> StyleAuditOutcome:
    """How sure the classifier is of each style, and how often zero-shot CLIP disagrees. See `audit_styles`."""
    scored = source, parts, classifier_id, encoder, min_confidence
    return audit_styles(Workspace(workspace_uri), dataset, *scored, slot=partial(device_slot, encoder.device))


@task(name="score part", task_run_name="score {source}/{part}", **STORED)
def score_part_task(workspace_uri: str, source: str, part: str, encoder_id: str, classifier_id: str) -> PartOutcome:
    """Give every picture of a part its emotion probabilities. See `score_part`."""
    return shown(score_part(Workspace(workspace_uri), source, part, encoder_id, classifier_id))


@task(name="near-duplicates", task_run_name="near-duplicates of {source}", **STORED)
def group_near_duplicates_task(
    workspace_uri: str, source: str, parts: Sequence[str], encoder_id: str, recipe: NearDuplicateRecipe
) -> PartOutcome:
    """Find the pictures of a source that look alike. See `group_near_duplicates`."""
    return group_near_duplicates(Workspace(workspace_uri), source, parts, encoder_id, recipe)


@task(name="decide", task_run_name="decide {source}", **STORED)
def decide_task(workspace_uri: str, source: str, parts: Sequence[str], recipe: CurationRecipe) -> CurationOutcome:
    """Keep or drop every picture of a source, with the reason. See `decide`."""
    return decide(Workspace(workspace_uri), source, parts, recipe)


@task(name="publish", task_run_name="publish {dataset}/{version}", **STORED)
def publish_task(workspace_uri: str, dataset: str, version: str, source: str) -> Publication:
    """Write the kept pictures with card and manifest. See `publish`."""
    return publish(Workspace(workspace_uri), dataset, version, source)
