"""Prefect task of generation: the samples of one method and one emotion. Without Prefect: `coemogen_core.generation.sample_part`."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from coemogen_core.data.workspace import Workspace
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.generation.sample_part import Method, generate_part
from coemogen_core.model.base_models import BaseModels
from schemas.outcomes import PartOutcome


@task(name="generate part", task_run_name="generate {method}/{emotion}", cache_policy=NO_CACHE)
def generate_part_task(
    workspace_uri: str,
    run_id: str,
    method: Method,
    emotion: str,
    count: int,
    seed: int,
    recipe: GenerationRecipe,
    models: BaseModels,
    model_run_id: str | None = None,
) -> PartOutcome:
    """Generate `count` pictures of one emotion. See `generate_part`."""
    return generate_part(Workspace(workspace_uri), run_id, method, emotion, count, seed, recipe, models, model_run_id)
