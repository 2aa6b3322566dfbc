"""Which kept pictures of a curated dataset are trained on, counted by emotion; and where they went when there are none."""

from collections import Counter
from collections.abc import Iterable

import polars as pl

from coemogen_core.curation.decisions import DecisionsRecord
from coemogen_core.data.splits import with_splits
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.storage.workspace import Workspace


def training_pictures(workspace: Workspace, record: DecisionsRecord, splits: Iterable[str] | None) -> dict[Emotion, int]:
    """Kept pictures of the wanted splits by emotion, in the order of EMOTIONS; emotions without one are left out.

    Args:
        splits: those that are trained on; None = all.

    Raises:
        ValueError: there are none; the message says which step left none.
    """
    kept: Counter[tuple[str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for part in record.parts:
        decided = workspace.table("decisions", record.dataset, record.version).read_part(part, ["image_id", "kept", "reason", "label"])
        reasons.update(decided.filter(~pl.col("kept"))["reason"])
        images = with_splits(workspace.table("images", record.source).read_part(part, ["image_id", "split", "artist"]))
        rows = decided.filter("kept").join(images, on="image_id")
        kept.update(rows.select("split", "label").iter_rows())
    wanted = None if splits is None else set(splits)
    found = Counter[str]()
    for (split, label), count in kept.items():
        found[label] += count if wanted is None or split in wanted else 0
    if not found.total():
        raise ValueError(_where_they_went(record, kept, reasons, wanted))
    return {emotion: found[emotion] for emotion in EMOTIONS if found[emotion]}


def _where_they_went(record: DecisionsRecord, kept: Counter[tuple[str, str]], reasons: Counter[str], wanted: set[str] | None) -> str:
    name = f"{record.dataset} {record.version}"
    if kept.total():
        by_split = Counter[str]()
        for (split, _), count in kept.items():
            by_split[split] += count
        there = ", ".join(f"{split} {count:,}" for split, count in sorted(by_split.items()))
        return (
            f"{name} kept {kept.total():,} pictures, but none of the split {' or '.join(sorted(wanted or ()))} (it has {there}): "
            "name another split in train_splits, or null for all"
        )
    if reasons:
        most = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(3))
        return f"{name} kept none of its {reasons.total():,} candidates ({most}): change what dropped them and build it again"
    return f"{name} has no candidates: source {record.source!r} has no picture that could be read, see its rejected table"
