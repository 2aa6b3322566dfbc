"""Two commands about captions and people: write the page on which a sample is judged, and take the verdicts in.

Both wrap `coemogen_core.captioning.audit` and take seconds, so neither is a flow.
"""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coemogen_core.captioning.audit.acceptance import COLUMNS, AcceptanceRates, acceptance_rows
from coemogen_core.captioning.audit.page import AuditPage, write_audit
from coemogen_core.captioning.audit.reviews import AuditOutcome, import_file
from coemogen_core.captioning.audit.sample import draw_from_dataset
from coemogen_core.curation.decisions import read_record, resolve_version
from coemogen_core.storage.workspace import Workspace

console = Console(highlight=False)


def audit(
    *,
    workspace: str,
    dataset: str = "emoset",
    version: str = "current",
    per_emotion: int = 50,
    seed: int = 0,
    kept_only: bool = True,
    destination: str | None = None,
) -> AuditPage:
    """Write a page with a sample of a dataset's captions beside their pictures, for a person to accept or reject.

    Args:
        workspace: folder or URI of the tables.
        dataset: curated dataset whose captions are judged.
        version: version of its decisions; current = the last one that was built.
        per_emotion: captions of each emotion; all, where there are fewer.
        seed: another seed draws others.
        kept_only: only captions of pictures that were kept; else those that the alignment filter dropped as well.
        destination: file or folder for a copy of the page.

    Raises:
        FileNotFoundError: the dataset was never curated here, or its source has no pictures.
        ValueError: there is nothing to audit.
    """
    place = Workspace(workspace)
    decided = read_record(place, dataset, resolve_version(place, dataset, version))
    captions = draw_from_dataset(place, decided, per_emotion=per_emotion, seed=seed, kept_only=kept_only)
    page = write_audit(place, decided.source, captions, per_emotion=per_emotion, seed=seed, destination=destination)
    _say_page(page, per_emotion)
    return page


def import_audit(file: str, *, workspace: str, source: str | None = None) -> AuditOutcome:
    """Record the verdicts that the audit page exported, and show which share of the captions was accepted.

    Args:
        file: the exported file, verdicts-<audit id>.json.
        workspace: folder or URI of the tables that the page was made from.
        source: refuse a file about any other source; by default the file says what it is about.

    Raises:
        FileNotFoundError: there is no such file, or the workspace has no captions of the source.
        UnusableVerdicts: the file holds no verdicts on the source.
    """
    outcome = import_file(Workspace(workspace), file, source)
    said = "had been recorded before" if outcome.reused else "recorded"
    console.print(escape(f"{outcome.audit_id}, {outcome.source}: {outcome.recorded} verdicts {said}; refused: {len(outcome.refused)}"))
    if outcome.refused:
        console.print(_table("Refused", ("row", "reason"), [(each.row, each.reason) for each in outcome.refused]))
    console.print(_rates(outcome.rates))
    return outcome


def _say_page(page: AuditPage, per_emotion: int) -> None:
    shown = sum(page.counts.values())
    console.print(escape(f"{page.audit_id}: {shown} captions, {per_emotion} of each emotion were asked for"), soft_wrap=True)
    for emotion in page.short:
        console.print(escape(f"  only {page.counts[emotion]} of {emotion}"), soft_wrap=True)
    for image_id, reason in page.left_out.items():
        console.print(escape(f"  left out {image_id[:12]}: {reason}"), soft_wrap=True)
    console.print(escape(page.copied_to or page.uri), soft_wrap=True)


def _rates(rates: AcceptanceRates) -> Table:
    return _table("Accepted in this audit", COLUMNS, acceptance_rows(rates), numbers=True)


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], *, numbers: bool = False) -> Table:
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
