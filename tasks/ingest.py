"""Prefect tasks of ingestion: plan a source, ingest a planned part, embed its pictures.

Without Prefect: `coemogen_core.data.plan`, `.ingest`, and `coemogen_core.encoders.embedding`.
"""

from functools import partial

from prefect import task

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import DEFAULT_PART_SIZE, plan_source
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.encoders.image_encoder import ImageEncoderRecipe
from coemogen_core.storage.workspace import Workspace
from schemas.choices import Layout
from schemas.outcomes import PartOutcome
from tasks.limits import device_slot
from tasks.options import STORED, shown


@task(name="plan source", task_run_name="plan {source}", **STORED)
def plan_source_task(
    workspace_uri: str,
    source: str,
    layout: Layout,
    root: str,
    licence: str | None = None,
    part_size: int = DEFAULT_PART_SIZE,
    image_column: str | None = None,
) -> list[str]:
    """List a source and cut it into parts; returns their names. See `plan_source`."""
    return plan_source(Workspace(workspace_uri), source, layout, root, licence, part_size, image_column)


@task(name="ingest part", task_run_name="ingest {source}/{part}", **STORED)
def ingest_part_task(workspace_uri: str, source: str, part: str) -> PartOutcome:
    """Ingest one planned part. See `ingest_part`."""
    return shown(ingest_part(Workspace(workspace_uri), source, part))


@task(name="embed part", task_run_name="embed {source}/{part}", **STORED)
def embed_part_task(workspace_uri: str, source: str, part: str, recipe: ImageEncoderRecipe) -> PartOutcome:
    """Embed the pictures of one image part. See `embed_part`."""
    return shown(embed_part(Workspace(workspace_uri), source, part, recipe, slot=partial(device_slot, recipe.device)))
