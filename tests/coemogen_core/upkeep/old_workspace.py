"""What a workspace of some age is made of, and what is listed in it."""

import os
import time
from pathlib import Path

from coemogen_core.data.part_plan import PlannedPart, write_cut
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.unreferenced import find_unreferenced
from tests.coemogen_core.curation.curated_art import SOURCE

DAY_S = 86_400
GONE = "part-gone"
OLDER = "emoart-0123456789ab"
"""A version that nobody has decided lately."""


def plan(workspace: Workspace, part_size: int, parts: list[str], source: str = SOURCE) -> None:
    write_cut(workspace, source, part_size, [PlannedPart(part, f"listing-{part}", None, "0") for part in parts])


def copy_part(workspace: Workspace, names: tuple[str, ...], part: str, other: str) -> None:
    """The same rows as another part of a table, whose name no plan has."""
    for path in [part] if names[0] != "captions" and names[0] != "alignment" else workspace.table(*names).parts(within=part):
        data = workspace.read_file(*names, f"{path}.parquet")
        workspace.write_file(data, *names, f"{path.replace(part, other)}.parquet")


def let_time_pass(workspace: Workspace, days: float) -> None:
    """Everything on this disk was written so many days ago."""
    for file in Path(workspace.uri).rglob("*"):
        if file.is_file():
            os.utime(file, (1, time.time() - days * DAY_S))


def listed(workspace: Workspace, older_than_days: float = 0) -> dict[tuple[str, str], int]:
    """Number of files by table and reason."""
    return {(each.table, each.why): each.files for each in find_unreferenced(workspace, older_than_days)}
