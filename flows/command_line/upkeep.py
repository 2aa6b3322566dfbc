"""Keeping a workspace: what nothing refers to any more."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.command_line.front import app, console
from flows.command_line.options import WorkspaceUri

MIB = 2**20
OlderThan = Annotated[float, Parameter(help="Leave alone what was written or used later.", validator=Number(gte=0, lte=36_500))]


@app.command
def prune(
    *,
    workspace: WorkspaceUri,
    older_than_days: OlderThan = 7.0,
    remove: Annotated[bool, Parameter(help="Remove it; without this, it is only listed.", negative="")] = False,
) -> None:
    """List what nothing in a workspace refers to any more, and what it weighs; remove it on request.

    What a current or published version names is never listed, nor runs and people's verdicts.
    """
    from rich.table import Column, Table

    from coemogen_core.storage.workspace import Workspace
    from coemogen_core.upkeep import unreferenced as core

    tables = Workspace(workspace)
    if not tables.exists():
        raise FileNotFoundError(f"no workspace {workspace}: give the folder or URI that the flows write to")
    for cut in core.find_old_cuts(tables, older_than_days):
        note = "forgotten" if remove else "forgotten with --remove; its own parts are listed by the next call then"
        console.print(f"plan of {cut.source} for parts of {cut.part_size}, last made {cut.days:.0f} days ago: {note}", soft_wrap=True)
        if remove:
            core.forget_cuts(tables, [cut])
    found = core.find_unreferenced(tables, older_than_days)
    if not found:
        console.print("nothing to remove")
        return
    whole = (Column("table", overflow="fold"), Column("why", overflow="fold", max_width=24))  # who removes something has to see what
    table = Table(*whole, *(Column(name, justify="right", no_wrap=True) for name in ("files", "MiB")), box=None)
    for each in found:
        table.add_row(each.table, each.why, f"{each.files:,}", f"{each.bytes / MIB:,.1f}")
    console.print(table)
    removed = core.remove_unreferenced(tables, found) if remove else []
    left = sum(each.files for each in found) - sum(each.files for each in removed)
    counted = removed if remove else found
    total = f"{sum(each.files for each in counted):,} files, {sum(each.bytes for each in counted) / MIB:,.1f} MiB"
    if remove and left:
        console.print(f"{left:,} files left: a run has come back to their version meanwhile")
    console.print(f"{total} removed" if remove else f"{total}; --remove removes them")
