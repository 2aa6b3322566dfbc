"""Prefect tasks of training and generation: cache the features of a part, train on all of them, generate a part of the samples.

Without Prefect: `coemogen_core.training.features.cache_features_part`, the method's own `train`, `coemogen_core.methods.sample_part`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from coemogen_core.methods.method import IN_THIS_PROCESS, Method, TrainingData
from coemogen_core.methods.sample_part import generate_part
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.run import TrainingOutcome
from coemogen_core.training.trainer import Progress
from schemas.outcomes import PartOutcome
from tasks.limits import device_slot
from tasks.options import STORED, shown

LOG_LINES = 20  # of one training in Prefect's log; the run's own log.jsonl has every interval


@task(name="cache features", task_run_name="features {dataset}/{part}", **STORED)
def cache_features_part_task(workspace_uri: str, dataset: str, version: str, source: str, part: str, recipe: FeatureRecipe) -> PartOutcome:
    """Cache the features of the kept pictures of one part. See `cache_features_part`."""
    slot = partial(device_slot, recipe.device)
    return shown(cache_features_part(Workspace(workspace_uri), dataset, version, source, part, recipe, slot=slot))


@task(name="train", task_run_name="train {method.name} on {dataset}", **STORED)
def train_task(
    workspace_uri: str, dataset: str, feature_id: str, models: BaseModels, method: Method, launch: LaunchSettings = IN_THIS_PROCESS
) -> TrainingOutcome | None:
    """Train what a method needs, None when that is nothing; goes on from an interrupted run's newest checkpoint. See `Method.train`."""
    data = TrainingData(Workspace(workspace_uri), dataset, feature_id, models)
    report = _progress_reporter(f"{method.name} on {dataset}")
    return method.train(data, report, launch, slot=partial(device_slot, *method.training_devices(launch)))


@task(name="generate part", task_run_name="generate {plan.method.name}/{part}", **STORED)
def generate_part_task(workspace_uri: str, plan: SamplePlan, part: str) -> PartOutcome:
    """Generate the pictures of one part. See `generate_part`."""
    return shown(generate_part(Workspace(workspace_uri), plan, part, slot=partial(device_slot, plan.recipe.device)))


def _progress_reporter(what: str) -> Callable[[Progress], None]:
    """A callback that keeps a progress artifact, made when there is progress, and writes some lines of the log."""
    logger = get_run_logger()
    artifact: Any = None
    logged = 0

    def report(progress: Progress) -> None:
        nonlocal artifact, logged
        if artifact is None:
            artifact = create_progress_artifact(progress=0.0, key="training", description=f"training {what}")
        share = progress.step / progress.steps
        if int(share * LOG_LINES) == logged:
            return
        logged = int(share * LOG_LINES)
        update_progress_artifact(artifact_id=artifact, progress=100 * share)
        logger.info(progress.line)

    return report
