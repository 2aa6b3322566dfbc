"""Prefect task of embedding: one image part. Without Prefect: `coemogen_core.encoders.embedding.embed_part`."""

from prefect import task

from coemogen_core.encoders.embedding import embed_part
from coemogen_core.encoders.image_encoder import ImageEncoderRecipe
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from tasks.limits import device_place
from tasks.options import STORED, shown


@task(name="embed part", task_run_name="embed {source}/{part}", **STORED)
def embed_part_task(workspace_uri: str, source: str, part: str, recipe: ImageEncoderRecipe) -> PartOutcome:
    """Embed the pictures of one image part. See `embed_part`."""
    with device_place(recipe.device):
        return shown(embed_part(Workspace(workspace_uri), source, part, recipe))
