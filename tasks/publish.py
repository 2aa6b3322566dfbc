"""Prefect task of publication: one curated dataset. Without Prefect: `coemogen_core.curation.publication.publish`."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from coemogen_core.curation.publication import Publication, publish
from coemogen_core.data.workspace import Workspace


@task(name="publish", task_run_name="publish {dataset}/{version}", cache_policy=NO_CACHE)
def publish_task(workspace_uri: str, dataset: str, version: str, source: str) -> Publication:
    """Write the kept pictures with card and manifest. See `publish`."""
    return publish(Workspace(workspace_uri), dataset, version, source)
