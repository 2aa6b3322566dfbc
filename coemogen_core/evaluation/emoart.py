"""How good the curated art corpus is, where the true emotions are known (the lab) or not (WikiArt)."""

from collections.abc import Collection, Mapping

import polars as pl

from coemogen_core.data.part_plan import current_parts
from coemogen_core.emotions import EMOART_EMOTIONS, Emotion
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import EmoArtMetrics


def emoart_metrics(
    decisions: pl.DataFrame,
    truth: Mapping[str, Emotion | None] | None = None,
    emotions: Collection[str] = EMOART_EMOTIONS,
) -> EmoArtMetrics:
    """Count the decisions and, where the truth is known, measure them.

    Args:
        decisions: rows of `decisions/<dataset>/<version>`.
        truth: true emotion by `image_id`, None for a neutral painting; paintings missing here are left out of precision and recall.
            None when nobody knows.
        emotions: those that are collected.

    Returns:
        precision = kept with the true label / kept; recall = kept with the true label / candidates whose true emotion is collected.
    """
    kept = decisions.filter("kept")
    precision = recall = None
    if truth:
        known = kept.filter(pl.col("image_id").is_in(list(truth)))
        right = sum(truth[image_id] == label for image_id, label in known.select("image_id", "label").iter_rows())
        wanted = sum(truth.get(image_id) in emotions for image_id in decisions["image_id"].unique())
        precision = right / known.height if known.height else None
        recall = right / wanted if wanted else None
    return EmoArtMetrics(
        candidates=decisions.height,
        kept=kept.height,
        precision=precision,
        recall=recall,
        reasons=dict(sorted(decisions.group_by("reason").len().iter_rows())),
        per_emotion={emotion: int((kept["label"] == emotion).sum()) for emotion in emotions},
    )


def truth_of_images(workspace: Workspace, source: str, emotion_by_path: Mapping[str, Emotion | None]) -> dict[str, Emotion | None]:
    """True emotions by `image_id`, from those by path inside the source; files that were not ingested are left out.

    Raises:
        FileNotFoundError: the source was not ingested.
    """
    table = workspace.table("images", source)
    parts = current_parts(workspace, source)
    if not parts:
        raise FileNotFoundError(f"table {table.uri} has no parts: ingest the source {source!r} first")
    truth: dict[str, Emotion | None] = {}
    for part in parts:
        for rows in table.iter_part(part, ["image_id", "image.path"]):
            for image_id, image in rows.iter_rows():
                if image["path"] in emotion_by_path:
                    truth[image_id] = emotion_by_path[image["path"]]
    return truth
