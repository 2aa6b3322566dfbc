"""A small captioned source: pictures of several sizes in two parts, with captions that try to break out of a page."""

import hashlib
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from coemogen_core.captioning.attempts import chunk_name
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decisions import CurationRecipe, DecisionsRecord
from coemogen_core.curation.selection import Selection
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions, Decisions, Images

SOURCE = "photos"
RECIPE = "caption-0123456789ab"
PARTS = ("part-00000-0123abcd", "part-00001-4567cdef")
NASTY = "</script><img src=x onerror=\"document.title='broken'\"> & <!-- \u2028 {{ 7 * 7 }} a 'dog' \u202e"
FIELDS = {
    "scene": "a <b>forest</b>",
    "objects": ["dog", "</script>"],
    "facial_expression": None,
    "trigger": "mist & gloom",
    "spare": {"a": 1},
}


def picture(number: int, size: tuple[int, int] = (48, 40)) -> bytes:
    small = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def write_images(workspace: Workspace, part: str, pictures: Sequence[bytes]) -> list[str]:
    """Write an image part; returns the ids."""
    ids = [hashlib.sha256(data).hexdigest() for data in pictures]
    rows = [
        {"image_id": name, "image": {"bytes": data, "path": "x.png"}, "width": 48, "height": 40}
        | dict.fromkeys(("label", "split", "artist", "style", "genre", "licence", "attributes"))
        for name, data in zip(ids, pictures, strict=True)
    ]
    workspace.table("images", SOURCE).write_part(part, pl.DataFrame(rows, schema=Images.create_empty().schema), Images)
    return ids


def write_captions(
    workspace: Workspace,
    part: str,
    image_ids: Sequence[str],
    *,
    attempt: int = 1,
    failed: Sequence[str] = (),
    fields: Any = None,
    prior: str | None = None,
) -> None:
    """Write a chunk with one attempt at each picture."""
    common = {"recipe_id": RECIPE, "attempt": attempt, "prompt_id": "p", "model": "m", "asked_at": datetime(2026, 1, 1, tzinfo=UTC)}
    common |= {"emotion_prior": prior}
    rows = [
        dict.fromkeys(Captions.column_names())
        | common
        | {"image_id": name, "fields": fields, "caption": None if name in failed else NASTY, "error": "refused" if name in failed else None}
        for name in image_ids
    ]
    frame = pl.DataFrame(rows, schema=Captions.create_empty().schema)
    workspace.table("captions", SOURCE).write_part(chunk_name(part, RECIPE, attempt - 1), frame, Captions)


def auditable(image_ids: Sequence[str], part: str = PARTS[0], **changed: Any) -> pl.DataFrame:
    """Current captions of pictures, the emotions in turn."""
    common = {"part": part, "recipe_id": RECIPE, "attempt": 1, "caption": NASTY, "similarity": 0.25, "fields": json.dumps(FIELDS)}
    rows = [{"image_id": name, "emotion": EMOTIONS[place % 8]} | common | changed for place, name in enumerate(image_ids)]
    return pl.DataFrame(rows, schema_overrides={"attempt": pl.Int32, "similarity": pl.Float32})


def write_source(workspace: Workspace, per_part: int = 16) -> pl.DataFrame:
    """A captioned source of two parts; returns its current captions."""
    frames = []
    for place, part in enumerate(PARTS):
        ids = write_images(workspace, part, [picture(100 * place + number) for number in range(per_part)])
        write_captions(workspace, part, ids)
        frames.append(auditable(ids, part))
    return pl.concat(frames)


def verdict_rows(captions: pl.DataFrame, verdict: str = "accept") -> list[dict[str, Any]]:
    """Rows of an exported file about these captions."""
    rows = captions.select("image_id", "recipe_id", "attempt", "emotion").rows(named=True)
    return [row | {"verdict": verdict} for row in rows]


def exported(rows: Sequence[dict[str, Any]], *, exported_at: str = "2026-01-01T00:00:00.000Z", **changed: Any) -> bytes:
    """An exported file."""
    head = {"format": "coemogen-caption-verdicts/1", "audit_id": "audit-0123456789ab", "source": SOURCE, "exported_at": exported_at}
    return json.dumps(head | {"verdicts": list(rows)} | changed).encode()


def write_decisions(workspace: Workspace, captions: pl.DataFrame, kept: pl.Expr) -> None:
    """Decisions of the dataset `emoset`, version `v1`, about a captioned source."""
    recipe = CurationRecipe(dataset="emoset", selection=Selection(), captions=CaptionPolicy.pinned(RECIPE), encoder_id="clip-0")
    record = DecisionsRecord(version="v1", source=SOURCE, parts=PARTS, captions="0" * 64, recipe=recipe)
    workspace.write_json(record.model_dump(mode="json"), "decisions", "emoset", "v1.recipe.json")
    workspace.write_json({"version": "v1"}, "decisions", "emoset", "current.json")
    rows = captions.with_columns(kept=kept, label="emotion", reason=pl.lit("kept"), confidence=pl.lit(None, pl.Float32))
    rows = rows.with_columns(caption_recipe_id="recipe_id", caption_attempt="attempt", text_tokens=pl.lit(9), cut_tokens=pl.lit(0))
    rows = rows.with_columns(near_duplicate_of=pl.lit(None, pl.String))
    for part in PARTS:
        workspace.table("decisions", "emoset", "v1").write_part(part, rows.filter(part=part), Decisions)
