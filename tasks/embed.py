"""Prefect task of embedding: one image part. Without Prefect: `coemogen_core.curation.embedding.embed_part`."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from coemogen_core.curation.embedding import embed_part
from coemogen_core.curation.image_encoder import ImageEncoderRecipe
from coemogen_core.data.workspace import Workspace
from schemas.outcomes import PartOutcome


@task(name="embed part", task_run_name="embed {source}/{part}", cache_policy=NO_CACHE)
def embed_part_task(workspace_uri: str, source: str, part: str, recipe: ImageEncoderRecipe) -> PartOutcome:
    """Embed the pictures of one image part. See `embed_part`."""
    return embed_part(Workspace(workspace_uri), source, part, recipe)
