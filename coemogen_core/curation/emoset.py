"""Selection from a labelled corpus such as EmoSet: the emotion of a picture is the label that people gave it."""

from collections.abc import Collection

import polars as pl

from coemogen_core.emotions import EMOTIONS

NO_LABEL = "no label"
NOT_COLLECTED = "emotion not collected"


def judge_labels(images: pl.DataFrame, emotions: Collection[str] = EMOTIONS) -> pl.DataFrame:
    """Say of every picture whether its label makes it a candidate for captioning.

    Args:
        images: columns `image_id`, `label` (nullable).
        emotions: those to collect.

    Returns:
        Columns `image_id`, `label`, `confidence` (null: a person gave the label), `reason` (null = selected), in the same order.
    """
    reason = (
        pl.when(pl.col("label").is_null()).then(pl.lit(NO_LABEL)).when(~pl.col("label").is_in(list(emotions))).then(pl.lit(NOT_COLLECTED))
    )
    return images.select("image_id", "label", pl.lit(None, pl.Float32).alias("confidence"), reason.alias("reason"))


def select_labelled(images: pl.DataFrame, emotions: Collection[str] = EMOTIONS) -> pl.DataFrame:
    """Pictures to caption and their emotion: columns `image_id`, `emotion`. See `judge_labels` for the arguments."""
    return judge_labels(images, emotions).filter(pl.col("reason").is_null()).select("image_id", emotion="label")
