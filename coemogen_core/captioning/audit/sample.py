"""The captions that an audit shows: as many of each emotion, drawn by seed and picture alone.

Every picture has a place in an order that the seed makes, and an audit takes the first ones of each emotion. So rows may come in any
order, and a picture that is added later takes the place of one other at most.
"""

import hashlib

import dataframely as dy
import polars as pl

from coemogen_core.emotions import EMOTIONS
from schemas.emotion_names import EMOTION_NAMES
from schemas.tables import SHA256_PATTERN

ATTEMPT_KEY = ("image_id", "recipe_id", "attempt")
"""What names one caption among all."""


class AuditableCaptions(dy.Schema):
    """A caption that may be audited: the current one of a picture."""

    image_id = dy.String(nullable=False, regex=SHA256_PATTERN)
    part = dy.String(nullable=False)  # of `images/<source>`
    emotion = dy.String(nullable=False, check=lambda column: column.is_in(EMOTION_NAMES))  # that the caption answers to
    recipe_id = dy.String(nullable=False)
    attempt = dy.Int32(nullable=False, min=1)
    caption = dy.String(nullable=False)
    similarity = dy.Float32(nullable=True)
    fields = dy.String(nullable=True)  # what the captioner said apart, as JSON: brightness, scene, objects, trigger, ...


def draw_sample(captions: pl.DataFrame, per_emotion: int, seed: int) -> pl.DataFrame:
    """Draw up to `per_emotion` captions of each emotion.

    A sample of samples is a sample: `draw_sample(concat(draw_sample(a), b))` draws the same as `draw_sample(concat(a, b))` as long as
    no caption stands in both, so a large corpus can be drawn part by part.

    Args:
        captions: rows in the schema `AuditableCaptions`, in any order; further columns are left out. A caption that stands there
            twice (its picture lies in two parts) counts for the first part.
        per_emotion: captions per emotion, at least 1; all, where there are fewer.
        seed: another seed draws others.

    Returns:
        The drawn rows in the schema `AuditableCaptions`: in the order of EMOTIONS, and within an emotion in the order of the seed.

    Raises:
        ValueError: a column is missing, or `per_emotion` is less than 1.
        dataframely.exc.ValidationError: a row breaks the schema; the message names the rule and counts the rows.
    """
    if per_emotion < 1:
        raise ValueError(f"per_emotion is {per_emotion}: an audit needs at least 1 caption per emotion")
    distinct = _checked(captions).sort(*ATTEMPT_KEY, "part", "emotion").unique(ATTEMPT_KEY, keep="first", maintain_order=True)
    ordered = distinct.with_columns(order=_order(distinct["image_id"], seed)).sort("order", *ATTEMPT_KEY)
    chosen = ordered.drop("order").group_by("emotion", maintain_order=True).head(per_emotion)
    return pl.concat([chosen.filter(pl.col("emotion") == emotion) for emotion in EMOTIONS]).select(AuditableCaptions.column_names())


def _checked(captions: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in AuditableCaptions.column_names() if name not in captions.columns]
    if missing:
        raise ValueError(f"captions to audit lack the columns {', '.join(missing)}; there are {', '.join(captions.columns)}")
    return AuditableCaptions.validate(captions.select(AuditableCaptions.column_names()), cast=True)


def _order(image_ids: pl.Series, seed: int) -> pl.Series:
    """The place of each picture: 64 bits of a hash that no version of a library changes."""
    digests = (hashlib.sha256(f"{seed}/{image_id}".encode()).digest() for image_id in image_ids)
    return pl.Series([int.from_bytes(digest[:8], "big") for digest in digests], dtype=pl.UInt64)
