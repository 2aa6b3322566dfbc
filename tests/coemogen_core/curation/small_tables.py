"""Small images and captions tables: one colour an emotion, so that even a random CLIP can tell them apart."""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl
from PIL import Image

from coemogen_core.captioning.attempts import chunk_name
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions, Decisions, Images

CAPTION_RECIPE = "caption-000000000000"


def picture(emotion: str, number: int) -> bytes:
    generator = np.random.default_rng([EMOTIONS.index(emotion), number])
    colour = np.random.default_rng(EMOTIONS.index(emotion)).integers(30, 225, 3)
    pixels = np.clip(colour + generator.normal(0, 12, (40, 48, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def image_row(emotion: str, number: int, *, label: str | None = None, split: str | None = None, **extra: object) -> dict[str, object]:
    data = picture(emotion, number)
    row = {"image_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": f"{emotion}/{number}.png"}}
    row |= {"width": 48, "height": 40, "label": label, "split": split}
    return row | dict.fromkeys(("artist", "style", "genre", "licence", "attributes")) | extra


def write_images(workspace: Workspace, source: str, part: str, rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=Images.create_empty().schema)
    workspace.table("images", source).write_part(part, frame, Images)
    return frame


def caption_row(image_id: str, caption: str | None, *, attempt: int = 1, recipe: str = CAPTION_RECIPE, prior: str | None = None) -> dict:
    row = dict.fromkeys(Captions.column_names())
    row |= {"image_id": image_id, "recipe_id": recipe, "attempt": attempt, "caption": caption, "emotion_prior": prior}
    return row | {
        "prompt_id": "p",
        "model": "m|1",
        "asked_at": datetime(2026, 1, attempt, tzinfo=UTC),
        "error": None if caption is not None else "refused",
    }


def write_captions(workspace: Workspace, source: str, part: str, sequence: int, rows: Sequence[dict], recipe: str = CAPTION_RECIPE) -> str:
    name = chunk_name(part, recipe, sequence)
    workspace.table("captions", source).write_part(name, pl.DataFrame(rows, schema=Captions.create_empty().schema, orient="row"), Captions)
    return name


def decisions_frame(rows: Sequence[dict]) -> pl.DataFrame:
    """Decisions without the columns that say where a caption comes from: those are null."""
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.with_columns(pl.lit(None).alias(name) for name in Decisions.column_names() if name not in frame.columns)


def labelled_photos(per_emotion: int, first: int = 0, emotions: Sequence[str] = EMOTIONS) -> list[dict[str, object]]:
    """Photos with EmoSet's kind of splits: six in ten train, then val and test."""
    splits = ["train", "train", "train", "val", "test"]
    return [
        image_row(emotion, number, label=emotion, split=splits[number % 5])
        for emotion in emotions
        for number in range(first, first + per_emotion)
    ]
