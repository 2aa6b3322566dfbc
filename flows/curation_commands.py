"""Two commands about a curated dataset: other thresholds for it, and a copy of it in another tool's layout.

Both wrap `coemogen_core.curation`, run no model and take seconds, so neither is a flow.
"""

from typing import Literal, get_args

from rich.console import Console
from rich.markdown import Markdown

from coemogen_core.curation.decide import CurationOutcome, Thresholds, refilter
from coemogen_core.curation.decisions import mark_current, read_record, resolve_version
from coemogen_core.curation.funnel import write_funnel
from coemogen_core.publication.exports import SHARD_SIZE, Export, export_clip_retrieval, export_webdataset
from coemogen_core.publication.publication import publish
from coemogen_core.storage.workspace import Workspace

ExportLayout = Literal["webdataset", "clip-retrieval"]
console = Console(highlight=False)


def refilter_dataset(
    *, workspace: str, dataset: str, version: str, thresholds: Thresholds, make_current: bool = False, publish_it: bool = False
) -> CurationOutcome:
    """Decide a dataset again with other thresholds and show its funnel.

    Args:
        workspace: folder or URI of the tables.
        dataset: dataset that was curated here.
        version: version to start from; current = the last one that was marked so.
        thresholds: what to change.
        make_current: later stages take the new version when none is named.
        publish_it: publish the new version.

    Raises:
        FileNotFoundError: there is no such version, or a table that it was made from is gone.
        ValueError: see `refilter`.
    """
    place = Workspace(workspace)
    outcome = refilter(place, dataset, resolve_version(place, dataset, version), thresholds)
    console.print(Markdown(write_funnel(place, dataset, outcome.version)))
    if make_current:
        mark_current(place, dataset, outcome.version)
    if publish_it:
        print(publish(place, dataset, outcome.version, read_record(place, dataset, outcome.version).source).uri)
    print(f"{outcome.version}: {sum(part.rows - part.dropped for part in outcome.parts)} kept, {outcome.seconds:.1f} s")
    return outcome


def export_dataset(destination: str, *, workspace: str, dataset: str, version: str, layout: str, shard_size: int = SHARD_SIZE) -> Export:
    """Copy a published dataset into a folder or URI, in a layout that others read.

    Args:
        destination: folder or URI; what an earlier export wrote there is replaced.
        workspace: folder or URI of the tables.
        dataset: published dataset.
        version: its version; current = the last one that was marked so.
        layout: webdataset or clip-retrieval.
        shard_size: pictures in a tar file of WebDataset.

    Raises:
        FileNotFoundError: this version was not published.
        ValueError: no such layout.
    """
    if layout not in get_args(ExportLayout):
        raise ValueError(f"no layout {layout!r}: choose one of {', '.join(get_args(ExportLayout))}")
    place = Workspace(workspace)
    chosen = resolve_version(place, dataset, version)
    if layout == "webdataset":
        export = export_webdataset(place, dataset, chosen, destination, shard_size)
    else:
        export = export_clip_retrieval(place, dataset, chosen, destination)
    print(f"{destination}: {export.rows} pictures of {chosen} in {len(export.files)} files")
    return export
