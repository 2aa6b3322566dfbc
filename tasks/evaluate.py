"""Prefect tasks of the evaluation: features of real images, numbers of a method, metrics.json and report.html.

Without Prefect: the functions of the same name in `coemogen_core.evaluation`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from prefect import task

from coemogen_core.curation.decisions import DecisionsRecord
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part, select_reference
from coemogen_core.evaluation.run_files import MethodEvaluation, evaluate_real_images, evaluate_samples, write_metrics
from coemogen_core.experiments.files import write_experiments
from coemogen_core.experiments.run_cell import cell_result
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.report.build import CorpusVersion, ReportRecipe, build_report_data, write_report
from coemogen_core.storage.workspace import Workspace
from schemas.experiments import Experiments, MethodRun
from schemas.metrics import Metrics, ReferenceMetrics
from schemas.outcomes import PartOutcome
from tasks.limits import device_slot
from tasks.options import STORED, shown


@task(name="select reference", task_run_name="select reference {record.source}", **STORED)
def select_reference_task(
    workspace_uri: str, record: DecisionsRecord, recipe: EvaluationRecipe, emotions: tuple[Emotion, ...] = EMOTIONS
) -> ReferenceSelection:
    """Choose the real images that generated ones are compared with. See `select_reference`."""
    return select_reference(Workspace(workspace_uri), record.source, recipe.minimum_reference, recipe.protocol, record, emotions)


@task(name="reference part", task_run_name="reference {part}", **STORED)
def reference_part_task(workspace_uri: str, selection: ReferenceSelection, part: str, recipe: EvaluationRecipe) -> PartOutcome:
    """Compute the features of one part of the real images. See `reference_part`."""
    slot = partial(device_slot, recipe.device)
    return shown(reference_part(Workspace(workspace_uri), selection, part, recipe, load_extractors(recipe), slot=slot))


@task(name="evaluate real images", task_run_name="evaluate real images", **STORED)
def evaluate_real_images_task(workspace_uri: str, selection: ReferenceSelection, recipe: EvaluationRecipe) -> ReferenceMetrics:
    """Measure the real images themselves. See `evaluate_real_images`."""
    slot = partial(device_slot, recipe.device)
    return evaluate_real_images(Workspace(workspace_uri), selection, recipe, load_extractors(recipe), slot=slot)


@task(name="evaluate method", task_run_name="evaluate {method}", **STORED)
def evaluate_method_task(
    workspace_uri: str,
    run_id: str,
    method: str,
    selection: ReferenceSelection,
    recipe: EvaluationRecipe,
    emotions: tuple[Emotion, ...] = EMOTIONS,
) -> MethodEvaluation:
    """Measure the samples of one method against the real images. See `evaluate_samples`."""
    slot = partial(device_slot, recipe.device)
    return evaluate_samples(Workspace(workspace_uri), run_id, method, selection, recipe, load_extractors(recipe), emotions, slot=slot)


@task(name="collect cell", task_run_name="collect {samples.method.name}, seed {seed}", **STORED)
def cell_result_task(
    workspace_uri: str, samples: SamplePlan, seed: int, evaluation: MethodEvaluation, recipe: EvaluationRecipe
) -> MethodRun:
    """The numbers of a measured cell of a matrix, and which of its pictures were recognised. See `cell_result`."""
    slot = partial(device_slot, recipe.device)
    return cell_result(Workspace(workspace_uri), samples, seed, evaluation, recipe, load_extractors(recipe), slot=slot)


@task(name="write experiments", task_run_name="write experiments {run_id}", **STORED)
def write_experiments_task(workspace_uri: str, run_id: str, experiments: Experiments) -> str:
    """Write experiments.json, .md, .csv and .tex of a run; returns the Markdown. See `write_experiments`."""
    return write_experiments(Workspace(workspace_uri), run_id, experiments)


@task(name="write metrics", task_run_name="write metrics {metrics.run_id}", **STORED)
def write_metrics_task(workspace_uri: str, metrics: Metrics) -> str:
    """Write metrics.json of a run; returns its URI. See `write_metrics`."""
    return write_metrics(Workspace(workspace_uri), metrics)


@task(name="identify the evaluation", **STORED)
def evaluation_identity_task(recipe: EvaluationRecipe) -> dict[str, Any]:
    """See `EvaluationRecipe.numbers_identity`; loads the networks."""
    return recipe.numbers_identity(load_extractors(recipe))


@task(name="write report", task_run_name="write report {metrics.run_id}", **STORED)
def write_report_task(
    workspace_uri: str,
    metrics: Metrics,
    sample_runs: dict[str, str],
    recipe: ReportRecipe,
    corpora: Sequence[CorpusVersion] = (),
    art: CorpusVersion | None = None,
    selection: ReferenceSelection | None = None,
    evaluation: EvaluationRecipe | None = None,
) -> str:
    """Write report.html of a run; returns its URI. See `build_report_data`."""
    workspace = Workspace(workspace_uri)
    slot = partial(device_slot, "auto" if evaluation is None else evaluation.device)
    return write_report(
        workspace, build_report_data(workspace, metrics, sample_runs, recipe, corpora, art, selection, evaluation, slot=slot)
    )
