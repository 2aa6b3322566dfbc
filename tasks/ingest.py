"""Prefect tasks of ingestion: plan a source, ingest a planned part, index its pictures, embed them.

Without Prefect: `coemogen_core.data.plan`, `.ingest`, `.picture_index`, and `coemogen_core.encoders.embedding`.
"""

from functools import partial

from prefect import task

from coemogen_core.curation.decisions import parts_in_use
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.picture_index import update_index
from coemogen_core.data.plan import DEFAULT_PART_SIZE, finish_source, plan_source, retire_parts
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


@task(name="index pictures", **STORED)
def update_index_task(workspace_uri: str) -> int:
    """Bring the index of all pictures up to date; returns its number of rows. See `update_index`."""
    return update_index(Workspace(workspace_uri))


@task(name="finish source", task_run_name="finish {source}", **STORED)
def finish_source_task(workspace_uri: str, source: str, part_size: int) -> list[str]:
    """When a source is ingested: index its pictures, and remove the parts that nothing has any more. See `finish_source`."""
    workspace = Workspace(workspace_uri)
    update_index(workspace)
    return finish_source(workspace, source, part_size, parts_in_use(workspace, source))


@task(name="retire parts", task_run_name="retire parts of {source}", **STORED)
def retire_parts_task(workspace_uri: str, source: str) -> list[str]:
    """When a dataset has a new current version: remove the parts that the one before was the last to name. See `retire_parts`."""
    workspace = Workspace(workspace_uri)
    return retire_parts(workspace, source, parts_in_use(workspace, source))


@task(name="embed part", task_run_name="embed {source}/{part}", **STORED)
def embed_part_task(workspace_uri: str, source: str, part: str, recipe: ImageEncoderRecipe) -> PartOutcome:
    """Embed the pictures of one image part. See `embed_part`."""
    return shown(embed_part(Workspace(workspace_uri), source, part, recipe, slot=partial(device_slot, recipe.device)))
