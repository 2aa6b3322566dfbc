"""Prefect tasks of training: cache the features of a part, train on all of them.

Without Prefect: `coemogen_core.training.features.cache_features_part` and `coemogen_core.training.run.train`.
"""

from collections.abc import Callable

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from coemogen_core.data.workspace import Workspace
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.features import FeatureRecipe, cache_features_part
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import TrainingOutcome, train
from coemogen_core.training.trainer import Progress
from schemas.outcomes import PartOutcome

LOG_LINES = 20  # of one training in Prefect's log; the run's own log.jsonl has every interval


@task(name="cache features", task_run_name="features {dataset}/{part}", cache_policy=NO_CACHE)
def cache_features_part_task(workspace_uri: str, dataset: str, version: str, source: str, part: str, recipe: FeatureRecipe) -> PartOutcome:
    """Cache the features of the kept pictures of one part. See `cache_features_part`."""
    return cache_features_part(Workspace(workspace_uri), dataset, version, source, part, recipe)


@task(name="train", task_run_name="train on {dataset}", cache_policy=NO_CACHE)
def train_task(
    workspace_uri: str, dataset: str, feature_id: str, models: BaseModels, recipe: TrainingRecipe, run_id: str | None = None
) -> TrainingOutcome:
    """Train HiLoRA and the conditioner; goes on from the newest checkpoint of an interrupted run. See `train`."""
    report = _progress_reporter(dataset)
    return train(Workspace(workspace_uri), dataset, feature_id, models, recipe, run_id=run_id, on_progress=report)


def _progress_reporter(dataset: str) -> Callable[[Progress], None]:
    """A callback that keeps a progress artifact and writes some lines of the log."""
    logger = get_run_logger()
    artifact = create_progress_artifact(progress=0.0, key="training", description=f"training on {dataset}")
    logged = 0

    def report(progress: Progress) -> None:
        nonlocal logged
        share = progress.step / progress.steps
        if int(share * LOG_LINES) == logged:
            return
        logged = int(share * LOG_LINES)
        update_progress_artifact(artifact_id=artifact, progress=100 * share)
        losses = f"L_LDM {progress.diffusion_loss:.4f}, L_SEM {progress.semantic_loss:.4f}"
        logger.info(f"step {progress.step} of {progress.steps}: {losses}, {progress.seconds_per_step:.2f} s a step")

    return report
