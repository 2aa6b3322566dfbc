"""Commands on a dataset that was built: other thresholds, copies for other tools."""

from typing import Annotated

from cyclopts import Parameter

from flows.command_line.front import app
from flows.command_line.options import WorkspaceUri
from flows.environment import prepare_environment


@app.command(name="refilter")
def refilter_command_line(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset that was curated here.")] = "emoart",
    version: Annotated[str, Parameter(help="Version to start from; current = the last one that was built.")] = "current",
    min_confidence: Annotated[float | None, Parameter(help="A classifier's confidence must be greater than this.")] = None,
    drop_fraction: Annotated[float | None, Parameter(help="Share of lowest similarity to drop within each emotion.")] = None,
    near_duplicate_distance: Annotated[float | None, Parameter(help="Cosine distance up to which pictures count as one; 0 = off.")] = None,
    make_current: Annotated[bool, Parameter(help="Later stages take the new version.", negative="")] = False,
    publish: Annotated[bool, Parameter(help="Publish the new version.", negative="")] = False,
) -> None:
    """Other thresholds for a dataset that was built: a query, no model runs; the version that it starts from stays."""
    prepare_environment()
    from coemogen_core.curation.decide import Thresholds
    from flows.curation_commands import refilter_dataset

    given = {"min_confidence": min_confidence, "drop_fraction": drop_fraction, "near_duplicate_distance": near_duplicate_distance}
    thresholds = Thresholds.model_validate(given)
    names = {"workspace": workspace, "dataset": dataset, "version": version}
    refilter_dataset(**names, thresholds=thresholds, make_current=make_current, publish_it=publish)


@app.command(name="export")
def export_command_line(
    destination: Annotated[str, Parameter(help="Folder or URI that takes the copy.")],
    *,
    workspace: WorkspaceUri,
    layout: Annotated[str, Parameter(help="webdataset or clip-retrieval.")] = "webdataset",
    dataset: Annotated[str, Parameter(help="Published dataset.")] = "emoart",
    version: Annotated[str, Parameter(help="Its version; current = the last one that was built.")] = "current",
    shard_size: Annotated[int, Parameter(help="Pictures in a tar file of WebDataset.")] = 1000,
) -> None:
    """A published dataset in the layout of WebDataset or of clip-retrieval."""
    prepare_environment()
    from flows.curation_commands import export_dataset

    export_dataset(destination, workspace=workspace, dataset=dataset, version=version, layout=layout, shard_size=shard_size)
