"""Why entries of a source were rejected, in a few words for people."""

from collections.abc import Sequence

import polars as pl

from coemogen_core.data.workspace import Workspace


def most_frequent_rejections(workspace: Workspace, source: str, parts: Sequence[str], at_most: int = 3) -> str:
    """The reasons that reject most of a source's entries, e.g. "12 truncated (a/b.jpg: ...), 1 empty file (...)", most frequent first."""
    rows = workspace.table("rejected", source).read(parts=list(parts))
    reasons = (
        rows.group_by("reason").agg(pl.len(), pl.first("path", "detail")).sort("len", "reason", descending=[True, False]).head(at_most)
    )
    return ", ".join(f"{row['len']:,} {row['reason']} ({row['path']}: {row['detail']})" for row in reasons.iter_rows(named=True))
