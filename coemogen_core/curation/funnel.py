"""The funnel: how many candidates each step of the curation left, and what became of each emotion and style."""

from typing import Any

import polars as pl

from coemogen_core.curation.decisions import REASONS, read_decisions, read_record
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS


def funnel(decisions: pl.DataFrame, images: pl.DataFrame | None = None) -> dict[str, Any]:
    """Count the decisions.

    Args:
        decisions: rows of the decisions table (`image_id`, `kept`, `reason`, `label`).
        images: `image_id` and `style` of the candidates; gives the counts per style.

    Returns:
        `candidates`, `kept`; `steps`: `{reason, dropped, remaining}` in the order in which the reasons are asked;
        `per_emotion`: `{candidates, kept}` of each emotion; `per_style`: kept pictures by style and emotion, the largest
        style first (empty without `images` or without styles); `captions`: see `_caption_lengths`. JSON-serialisable.
    """
    dropped = dict(decisions.filter(~pl.col("kept")).group_by("reason").len().iter_rows())
    steps, remaining = [], decisions.height
    for reason in (*REASONS, *sorted(set(dropped) - set(REASONS))):
        remaining -= dropped.get(reason, 0)
        steps.append({"reason": reason, "dropped": dropped.get(reason, 0), "remaining": remaining})
    labelled = {label: (total, kept) for label, total, kept in _per_label(decisions).iter_rows()}
    per_emotion = {emotion: dict(zip(("candidates", "kept"), labelled.get(emotion, (0, 0)), strict=True)) for emotion in EMOTIONS}
    return {
        "candidates": decisions.height,
        "kept": int(decisions["kept"].sum()),
        "steps": steps,
        "per_emotion": per_emotion,
        "captions": _caption_lengths(decisions),
        "per_style": {} if images is None else _per_style(decisions, images),
    }


def funnel_markdown(workspace: Workspace, dataset: str, version: str) -> str:
    """The funnel of a version as Markdown: a table of the steps that dropped something, and one of the emotions.

    Raises:
        FileNotFoundError: there is no such version.
    """
    record = read_record(workspace, dataset, version)
    counts = funnel(read_decisions(workspace, dataset, version))
    steps = [f"| {step['reason']} | {step['dropped']} | {step['remaining']} |" for step in counts["steps"] if step["dropped"]]
    emotions = [f"| {emotion} | {count['candidates']} | {count['kept']} |" for emotion, count in counts["per_emotion"].items()]
    lines = [
        f"**{dataset}** `{version}`: {counts['kept']} of {counts['candidates']} pictures of source `{record.source}` kept.",
        "",
        "| step | dropped | remaining |",
        "|---|---:|---:|",
        f"| candidates | | {counts['candidates']} |",
        *steps,
        "",
        "| emotion | candidates | kept |",
        "|---|---:|---:|",
        *emotions,
        "",
        f"Captions cut at the encoder's window: {counts['captions']['cut']} of {counts['captions']['count']}, "
        f"{counts['captions']['share_of_tokens_cut']:.1%} of their tokens.",
    ]
    return "\n".join(lines) + "\n"


def _caption_lengths(decisions: pl.DataFrame) -> dict[str, Any]:
    """How many captions are in use, how many of them are cut at the encoder's window, and which share of all their tokens that costs."""
    lengths = decisions.select("text_tokens", "cut_tokens").drop_nulls()
    total = int(lengths["text_tokens"].sum())
    return {
        "count": lengths.height,
        "cut": int((lengths["cut_tokens"] > 0).sum()),
        "share_of_tokens_cut": int(lengths["cut_tokens"].sum()) / total if total else 0.0,
    }


def _per_label(decisions: pl.DataFrame) -> pl.DataFrame:
    return decisions.group_by("label").agg(pl.len(), pl.col("kept").sum())


def _per_style(decisions: pl.DataFrame, images: pl.DataFrame) -> dict[str, dict[str, int]]:
    styles = images.select("image_id", "style").unique("image_id", keep="first", maintain_order=True).drop_nulls("style")
    counts: dict[str, dict[str, int]] = {}
    kept = decisions.filter("kept").join(styles, on="image_id").group_by("style", "label").len()
    for style, label, count in kept.sort("style", "label").iter_rows():
        counts.setdefault(style, {})[label] = count
    largest_first = sorted(counts, key=lambda style: (-sum(counts[style].values()), style))
    return {style: {emotion: counts[style].get(emotion, 0) for emotion in EMOTIONS} for style in largest_first}
