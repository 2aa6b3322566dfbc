"""From the samples of a run to its metrics.json."""

import time
from collections.abc import Sequence
from contextlib import nullcontext

from pydantic import BaseModel, Field

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.evaluate import evaluate_method, evaluate_reference
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import concatenate
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection, load_reference, stored_reference
from coemogen_core.evaluation.sample_pictures import sample_part, stored_samples
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel
from schemas.metrics import MethodMetrics, Metrics, ReferenceMetrics
from schemas.outcomes import PartOutcome


class MethodEvaluation(FrozenModel):
    """The numbers of one method, and which parts had to be computed for them."""

    method: str = Field(description="name of the method")
    metrics: MethodMetrics = Field(description="its numbers")
    parts: tuple[PartOutcome, ...] = Field(description="features, one part per emotion; reused where they existed")
    reused: bool = Field(description="the numbers themselves existed already")
    seconds: float = Field(ge=0, description="wall-clock time")


def evaluate_samples(
    workspace: Workspace,
    run_id: str,
    method: str,
    selection: ReferenceSelection,
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    emotions: Sequence[Emotion] = EMOTIONS,
    *,
    slot: Slot = nullcontext,
) -> MethodEvaluation:
    """Measure `runs/<run_id>/samples/<method>` against the real images; nothing is computed twice.

    Args:
        emotions: whose samples are measured, where there are any; a run may hold more.

    Raises:
        FileNotFoundError: there are no samples, or the features of the real images were not computed.
    """
    started = time.perf_counter()
    present = [emotion for emotion in SampleSet(workspace, run_id, method).emotions() if emotion in emotions]
    found = [sample_part(workspace, run_id, method, emotion, recipe, extractors, slot=slot) for emotion in present]
    features = concatenate([block for _, block in found])
    place = _numbers_place(selection, recipe, extractors, features.digest())
    if reused := workspace.exists(*place):
        metrics = MethodMetrics.model_validate(workspace.read_json(*place))
    else:
        reference = load_reference(workspace, selection, recipe, extractors)
        pictures = stored_samples(workspace, run_id, method, present)
        metrics = evaluate_method(features, reference, extractors, recipe, pictures, slot=slot)
        workspace.write_file(_as_json(metrics), *place)
    seconds = time.perf_counter() - started
    return MethodEvaluation(method=method, metrics=metrics, parts=tuple(part for part, _ in found), reused=reused, seconds=seconds)


def evaluate_real_images(
    workspace: Workspace, selection: ReferenceSelection, recipe: EvaluationRecipe, extractors: ExtractorSet, *, slot: Slot = nullcontext
) -> ReferenceMetrics:
    """Measure the real images: what a perfect generator would score.

    Raises:
        FileNotFoundError: the features of a part were not computed.
    """
    place = _numbers_place(selection, recipe, extractors, "real")
    if workspace.exists(*place):
        return ReferenceMetrics.model_validate(workspace.read_json(*place))
    reference = load_reference(workspace, selection, recipe, extractors)
    pictures = stored_reference(workspace, selection)
    metrics = evaluate_reference(reference, selection.source, selection.split, extractors, recipe, pictures, selection.labels, slot=slot)
    workspace.write_file(_as_json(metrics), *place)
    return metrics


def write_metrics(workspace: Workspace, metrics: Metrics) -> str:
    """Write `runs/<run_id>/metrics.json`; returns its URI."""
    return workspace.write_file(_as_json(metrics), "runs", metrics.run_id, "metrics.json")


def _numbers_place(
    selection: ReferenceSelection, recipe: EvaluationRecipe, extractors: ExtractorSet, images: str
) -> tuple[str, str, str, str]:
    """Numbers are keyed by the images on both sides and by everything that turns features into numbers."""
    name = recipe_id("numbers", {**recipe.numbers_identity(extractors), "reference": selection, "images": images})
    return "evaluation", recipe.features_id(extractors), "numbers", f"{name}.json"


def _as_json(model: BaseModel) -> bytes:
    """Indented JSON in the order of the fields, so that emotions keep theirs."""
    return (model.model_dump_json(indent=2) + "\n").encode()
