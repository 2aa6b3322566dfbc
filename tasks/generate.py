"""Prefect task of generation: a part of the samples of one method. Without Prefect: `coemogen_core.methods.sample_part`."""

from prefect import task

from coemogen_core.methods.sample_part import generate_part
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from tasks.limits import device_place
from tasks.options import STORED, shown


@task(name="generate part", task_run_name="generate {plan.method.name}/{part}", **STORED)
def generate_part_task(workspace_uri: str, plan: SamplePlan, part: str) -> PartOutcome:
    """Generate the pictures of one part. See `generate_part`."""
    with device_place(plan.recipe.device):
        return shown(generate_part(Workspace(workspace_uri), plan, part))
