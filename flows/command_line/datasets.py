"""Commands on a dataset that was built: other thresholds, copies for other tools, a page to judge captions on and the verdicts back.

They run no model and take seconds, so none of them is a flow.
"""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape

from flows.command_line.front import app, console
from flows.command_line.options import Version, Whole, WorkspaceUri, given_only
from schemas.choices import ExportLayout


@app.command
def refilter(
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
    from rich.markdown import Markdown

    from coemogen_core.curation import decide as core
    from coemogen_core.curation.decisions import mark_current, read_record, resolve_version
    from coemogen_core.curation.funnel import write_funnel
    from coemogen_core.publication import publication
    from coemogen_core.storage.workspace import Workspace

    wanted = given_only(min_confidence=min_confidence, drop_fraction=drop_fraction, near_duplicate_distance=near_duplicate_distance)
    thresholds, tables = core.Thresholds.model_validate(wanted), Workspace(workspace)
    outcome = core.refilter(tables, dataset, resolve_version(tables, dataset, version), thresholds)
    console.print(Markdown(write_funnel(tables, dataset, outcome.version)))
    if make_current:
        mark_current(tables, dataset, outcome.version)
    if publish:
        print(publication.publish(tables, dataset, outcome.version, read_record(tables, dataset, outcome.version).source).uri)
    print(f"{outcome.version}: {sum(part.rows - part.dropped for part in outcome.parts)} kept, {outcome.seconds:.1f} s")


@app.command
def export(
    destination: Annotated[str, Parameter(help="Folder or URI to write the copy to; an earlier export there is replaced.")],
    *,
    workspace: WorkspaceUri,
    layout: Annotated[ExportLayout, Parameter(help="Whose layout.")] = "webdataset",
    dataset: Annotated[str, Parameter(help="Published dataset.")] = "emoart",
    version: Annotated[str, Parameter(help="Its version; current = the last one that was built.")] = "current",
    shard_size: Annotated[Whole, Parameter(help="Pictures in a tar file of WebDataset.")] = 1000,
) -> None:
    """A published dataset in the layout of WebDataset or of clip-retrieval."""
    from coemogen_core.curation.decisions import resolve_version
    from coemogen_core.publication.exports import export_clip_retrieval, export_webdataset
    from coemogen_core.storage.workspace import Workspace

    tables = Workspace(workspace)
    chosen = resolve_version(tables, dataset, version)
    if layout == "webdataset":
        copy = export_webdataset(tables, dataset, chosen, destination, shard_size)
    else:
        copy = export_clip_retrieval(tables, dataset, chosen, destination)
    print(f"{destination}: {copy.rows} pictures of {chosen} in {len(copy.files)} files")


@app.command
def audit(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose captions are judged.")] = "emoset",
    version: Version = "current",
    per_emotion: Annotated[Whole, Parameter(help="Captions of each emotion; all, where there are fewer.", validator=Number(gte=1))] = 50,
    seed: Annotated[Whole, Parameter(help="Another seed draws others.", validator=Number(gte=0, lt=2**63))] = 0,
    kept_only: Annotated[bool, Parameter(help="Only captions of pictures that were kept.")] = True,
    destination: Annotated[str | None, Parameter(help="File or folder for a copy of the page.")] = None,
) -> None:
    """A page on which a person accepts or rejects a sample of captions."""
    from coemogen_core.captioning.audit.page import write_audit
    from coemogen_core.captioning.audit.sample import draw_from_dataset
    from coemogen_core.curation.decisions import read_record, resolve_version
    from coemogen_core.storage.workspace import Workspace

    tables = Workspace(workspace)
    decided = read_record(tables, dataset, resolve_version(tables, dataset, version))
    captions = draw_from_dataset(tables, decided, per_emotion=per_emotion, seed=seed, kept_only=kept_only)
    page = write_audit(tables, decided.source, captions, per_emotion=per_emotion, seed=seed, destination=destination)
    lines = [f"{page.audit_id}: {sum(page.counts.values())} captions, {per_emotion} of each emotion were asked for"]
    lines += [f"  only {page.counts[emotion]} of {emotion}" for emotion in page.short]
    lines += [f"  left out {image_id[:12]}: {reason}" for image_id, reason in page.left_out.items()]
    for line in (*lines, page.copied_to or page.uri):
        console.print(escape(line), soft_wrap=True)


@app.command
def import_audit(
    file: Annotated[str, Parameter(help="What the page exported: verdicts-<audit id>.json.")],
    *,
    workspace: WorkspaceUri,
    source: Annotated[str | None, Parameter(help="Refuse verdicts on any other source.")] = None,
) -> None:
    """Record a person's verdicts; rejected captions are never current and are asked for again by recaption."""
    from coemogen_core.captioning.audit.acceptance import COLUMNS, acceptance_rows
    from coemogen_core.captioning.audit.reviews import import_file
    from coemogen_core.storage.workspace import Workspace

    outcome = import_file(Workspace(workspace), file, source)
    said = "had been recorded before" if outcome.reused else "recorded"
    console.print(escape(f"{outcome.audit_id}, {outcome.source}: {outcome.recorded} verdicts {said}; refused: {len(outcome.refused)}"))
    if outcome.refused:
        _print_table("Refused", ("row", "reason"), [(each.row, each.reason) for each in outcome.refused])
    _print_table("Accepted in this audit", COLUMNS, acceptance_rows(outcome.rates), numbers=True)


def _print_table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], *, numbers: bool = False) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and position else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
