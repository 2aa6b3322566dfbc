"""The funnel: how many candidates each step of the curation left, and what became of each emotion and style."""

from typing import Any

import numpy as np
import polars as pl

from coemogen_core.curation.decisions import REASONS, beside_decisions, read_record
from coemogen_core.emotions import EMOTIONS
from coemogen_core.markdown import table_cell
from coemogen_core.storage.workspace import Workspace

FUNNEL = "funnel.json"
BINS = 20
BAR = 20  # characters
FUNNEL_COLUMNS = ["image_id", "kept", "reason", "label", "confidence", "similarity", "text_tokens", "cut_tokens"]
"""What the funnel looks at; captions would be the largest column by far."""
HISTOGRAMS = {"confidence": "confidence", "alignment": "similarity"}
"""Name of the histogram and the column that it counts."""


def funnel(decisions: pl.DataFrame, images: pl.DataFrame | None = None) -> dict[str, Any]:
    """Count the decisions.

    Args:
        decisions: rows of the decisions table, their `FUNNEL_COLUMNS`.
        images: `image_id` and `style` of the candidates; gives the counts per style.

    Returns:
        `candidates`, `kept`; `steps`: `{reason, dropped, remaining}` in the order in which the reasons are asked;
        `per_emotion`: `{candidates, kept}` of each emotion; `per_style`: kept pictures by style and emotion, the largest
        style first (empty without `images` or without styles); `captions`: see `_caption_lengths`; `histograms` of `confidence` and
        `alignment`: see `histogram`. JSON-serialisable.
    """
    dropped = dict(decisions.filter(~pl.col("kept")).group_by("reason").len().iter_rows())
    steps, remaining = [], decisions.height
    for reason in (*REASONS, *sorted(set(dropped) - set(REASONS))):
        remaining -= dropped.get(reason, 0)
        steps.append({"reason": reason, "dropped": dropped.get(reason, 0), "remaining": remaining})
    per_label = decisions.group_by("label").agg(candidates=pl.len(), kept=pl.col("kept").sum())
    labelled = {label: {"candidates": candidates, "kept": kept} for label, candidates, kept in per_label.iter_rows()}
    return {
        "candidates": decisions.height,
        "kept": int(decisions["kept"].sum()),
        "steps": steps,
        "per_emotion": {emotion: labelled.get(emotion, {"candidates": 0, "kept": 0}) for emotion in EMOTIONS},
        "captions": _caption_lengths(decisions),
        "histograms": {name: histogram(decisions, column) for name, column in HISTOGRAMS.items()},
        "per_style": {} if images is None else _per_style(decisions, images),
    }


def write_funnel(workspace: Workspace, dataset: str, version: str) -> str:
    """Count a version, write `decisions/<dataset>/<version>.funnel.json`, and say the same as Markdown.

    Raises:
        FileNotFoundError: there is no such version, or its pictures are gone.
    """
    record = read_record(workspace, dataset, version)
    images = workspace.table("images", record.source).read_parts(record.parts, ["image_id", "style"])
    counts = funnel(workspace.table("decisions", dataset, version).read(FUNNEL_COLUMNS), images)
    workspace.write_json(counts, *beside_decisions(dataset, version, FUNNEL))
    head = f"**{dataset}** `{version}`: {counts['kept']} of {counts['candidates']} pictures of source `{record.source}` kept."
    return f"{head}\n\n{funnel_tables(counts)}"


def funnel_tables(counts: dict[str, Any]) -> str:
    """The counts of `funnel` as Markdown tables: steps that dropped something, emotions, emotions by style, the two histograms."""
    steps = [["candidates", "", counts["candidates"]]]
    steps += [[step["reason"], step["dropped"], step["remaining"]] for step in counts["steps"] if step["dropped"]]
    emotions = [[emotion, count["candidates"], count["kept"]] for emotion, count in counts["per_emotion"].items()]
    tables = [_table(["step", "dropped", "remaining"], steps), _table(["emotion", "candidates", "kept"], emotions)]
    if counts["per_style"]:
        styles = [[table_cell(style), *row.values()] for style, row in counts["per_style"].items()]
        tables.append(_table(["kept, by style", *EMOTIONS], styles))
    tables += [_histogram_table(name, found) for name, found in counts["histograms"].items() if found["edges"]]
    captions = counts["captions"]
    tables.append(
        f"Captions cut at the encoder's window: {captions['cut']} of {captions['count']}, "
        f"{captions['share_of_tokens_cut']:.1%} of their tokens.\n"
    )
    return "\n".join(tables)


def funnel_line(counts: dict[str, Any]) -> str:
    """The counts of `funnel` in a line, e.g. "29 of 69 kept; 34 low confidence, 6 low alignment"."""
    dropped = ", ".join(f"{step['dropped']:,} {step['reason']}" for step in counts["steps"] if step["dropped"])
    return f"{counts['kept']:,} of {counts['candidates']:,} kept" + (f"; {dropped}" if dropped else "")


def histogram(decisions: pl.DataFrame, column: str) -> dict[str, list[Any]]:
    """Distribution of a column over the pictures that have a value, in equal bins from the smallest to the largest value.

    Returns:
        `edges` (one more than bins), `all` and `kept`: pictures per bin, [low, high), the last one closed; all empty without a value.
    """
    rows = decisions.select(column, "kept").drop_nulls()
    if rows.is_empty():
        return {"edges": [], "all": [], "kept": []}
    values = rows[column].to_numpy().astype(np.float64)
    every, edges = np.histogram(values, BINS)
    kept, _ = np.histogram(values[rows["kept"].to_numpy()], edges)
    return {"edges": [round(float(edge), 6) for edge in edges], "all": every.tolist(), "kept": kept.tolist()}


def _histogram_table(name: str, found: dict[str, list[Any]]) -> str:
    most = max(found["all"])
    rows = []
    for low, high, every, kept in zip(found["edges"], found["edges"][1:], found["all"], found["kept"], strict=False):
        full, whole = round(BAR * kept / most), round(BAR * every / most)
        rows.append([f"{low:.3f} to {high:.3f}", every, kept, "█" * full + "░" * (whole - full)])
    return _table([name, "pictures", "kept", ""], rows)


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _caption_lengths(decisions: pl.DataFrame) -> dict[str, Any]:
    """How many captions are in use, how many of them are cut at the encoder's window, and which share of all their tokens that costs."""
    lengths = decisions.select("text_tokens", "cut_tokens").drop_nulls()
    total = int(lengths["text_tokens"].sum())
    return {
        "count": lengths.height,
        "cut": int((lengths["cut_tokens"] > 0).sum()),
        "share_of_tokens_cut": int(lengths["cut_tokens"].sum()) / total if total else 0.0,
    }


def _per_style(decisions: pl.DataFrame, images: pl.DataFrame) -> dict[str, dict[str, int]]:
    styles = images.select("image_id", "style").unique("image_id", keep="first", maintain_order=True).drop_nulls("style")
    counts: dict[str, dict[str, int]] = {}
    kept = decisions.filter("kept").join(styles, on="image_id").group_by("style", "label").len()
    for style, label, count in kept.sort("style", "label").iter_rows():
        counts.setdefault(style, {})[label] = count
    largest_first = sorted(counts, key=lambda style: (-sum(counts[style].values()), style))
    return {style: {emotion: counts[style].get(emotion, 0) for emotion in EMOTIONS} for style in largest_first}
