"""The captions that an audit shows: as many of each emotion, drawn by seed and picture alone, from a version of a dataset.

Every picture has a rank in an order that the seed makes, and an audit takes the first ones of each emotion. So rows may come in any
order, and a picture that is added later takes the place of one other at most.
"""

import hashlib

import dataframely as dy
import polars as pl

from coemogen_core.captioning.attempts import ATTEMPT_KEY, read_attempts
from coemogen_core.captioning.current_captions import CaptionedDataset
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.choices import EMOTION_NAMES
from schemas.tables import SHA256_PATTERN


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
    """Draw up to `per_emotion` (at least 1) captions of each emotion; another seed draws others.

    A sample of samples is a sample: `draw_sample(concat(draw_sample(a), b))` draws the same as `draw_sample(concat(a, b))` as long as
    no caption stands in both, so a large corpus can be drawn part by part.

    Args:
        captions: rows in the schema `AuditableCaptions`, in any order; further columns are left out. A caption that stands there
            twice (its picture lies in two parts) counts for the first part.

    Returns:
        The drawn rows in the schema `AuditableCaptions`: in the order of EMOTIONS, and within an emotion in the order of the seed.

    Raises:
        ValueError: a column is missing, or `per_emotion` is less than 1.
        dataframely.exc.ValidationError: a row breaks the schema; the message names the rule and counts the rows.
    """
    if per_emotion < 1:
        raise ValueError(f"per_emotion is {per_emotion}: an audit needs at least 1 caption per emotion")
    columns = AuditableCaptions.column_names()
    missing = [name for name in columns if name not in captions.columns]
    if missing:
        raise ValueError(f"captions to audit lack the columns {', '.join(missing)}; there are {', '.join(captions.columns)}")
    checked = AuditableCaptions.validate(captions.select(columns), cast=True)
    distinct = checked.sort(*ATTEMPT_KEY, "part", "emotion").unique(ATTEMPT_KEY, keep="first", maintain_order=True)
    ordered = distinct.with_columns(rank=_ranks(distinct["image_id"], seed)).sort("rank", *ATTEMPT_KEY)
    chosen = ordered.drop("rank").group_by("emotion", maintain_order=True).head(per_emotion)
    return pl.concat([chosen.filter(pl.col("emotion") == emotion) for emotion in EMOTIONS]).select(columns)


def _ranks(image_ids: pl.Series, seed: int) -> pl.Series:
    """The rank of each picture: 64 bits of a hash that no version of a library changes."""
    digests = (hashlib.sha256(f"{seed}/{image_id}".encode()).digest() for image_id in image_ids)
    return pl.Series([int.from_bytes(digest[:8], "big") for digest in digests], dtype=pl.UInt64)


def draw_from_dataset(
    workspace: Workspace, decided: CaptionedDataset, *, per_emotion: int, seed: int, kept_only: bool = True
) -> pl.DataFrame:
    """Draw captions of a version of a dataset, each for the emotion under which its picture was decided; see `draw_sample`.

    Never more than a part and a sample are in memory.

    Args:
        kept_only: only captions of kept pictures, those that a model is trained on; else every caption in use.

    Returns:
        Rows in the schema `AuditableCaptions`: the sample itself, from which `write_audit` with the same numbers draws all.
    """
    sample: pl.DataFrame = AuditableCaptions.create_empty()
    for part in decided.parts:
        captions = _captions(workspace, decided.source, part, _decided(workspace, decided, part, kept_only))
        sample = draw_sample(pl.concat([sample, captions]), per_emotion, seed)
    return sample


def _decided(workspace: Workspace, decided: CaptionedDataset, part: str, kept_only: bool) -> pl.DataFrame:
    columns = ["image_id", "kept", "label", "similarity", "caption_recipe_id", "caption_attempt"]
    rows = workspace.table("decisions", decided.dataset, decided.version).read_part(part, columns)
    usable = pl.col("caption_attempt").is_not_null() & pl.col("label").is_not_null()
    chosen = rows.filter(usable & pl.col("kept") if kept_only else usable)
    return chosen.rename({"caption_recipe_id": "recipe_id", "caption_attempt": "attempt", "label": "emotion"})


def _captions(workspace: Workspace, source: str, part: str, decided: pl.DataFrame) -> pl.DataFrame:
    """The captions that were decided on, with what their attempts say besides."""
    columns = [*ATTEMPT_KEY, "emotion_prior", "caption", "fields"]
    attempts = read_attempts(workspace, source, part, None, columns).filter(pl.col("caption").is_not_null())
    answering = pl.col("emotion_prior").is_null() | (pl.col("emotion_prior") == pl.col("emotion"))  # a verdict counts for these alone
    found = decided.join(attempts, on=ATTEMPT_KEY, how="inner", maintain_order="left").filter(answering)
    as_json = pl.when(pl.col("fields").is_not_null()).then(pl.col("fields").struct.json_encode())
    return found.with_columns(part=pl.lit(part), fields=as_json).select(AuditableCaptions.column_names())
