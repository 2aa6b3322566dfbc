"""Prefect task of publication: one curated dataset. Without Prefect: `coemogen_core.publication.publication.publish`."""

from prefect import task

from coemogen_core.publication.publication import Publication, publish
from coemogen_core.storage.workspace import Workspace
from tasks.options import STORED


@task(name="publish", task_run_name="publish {dataset}/{version}", **STORED)
def publish_task(workspace_uri: str, dataset: str, version: str, source: str) -> Publication:
    """Write the kept pictures with card and manifest. See `publish`."""
    return publish(Workspace(workspace_uri), dataset, version, source)
