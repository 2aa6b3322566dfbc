"""A small images table to caption."""

import hashlib
import io

import numpy as np
import polars as pl
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions, Images

SOURCE = "photos"
PART = "part-00000-0123abcd"
MEASURED = ("asked_at", "latency_s")


def jpeg(seed: int, size: tuple[int, int] = (64, 64)) -> bytes:
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    blocks.resize(size, Image.Resampling.NEAREST).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def write_images(workspace: Workspace, pictures: list[bytes]) -> pl.DataFrame:
    """Write one images part; returns the selection of all its pictures (`image_id, emotion`)."""
    rows = [
        {
            "image_id": hashlib.sha256(data).hexdigest(),
            "image": {"bytes": data, "path": f"{index}.jpg"},
            "width": 64,
            "height": 64,
            "label": EMOTIONS[index % 8],
            "split": "train",
        }
        for index, data in enumerate(pictures)
    ]
    frame = pl.DataFrame(rows).with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("artist", "style", "genre", "licence", "attributes")
    )
    workspace.table("images", SOURCE).write_part(PART, frame, Images)
    return frame.select("image_id", emotion="label")


def captions(workspace: Workspace) -> pl.DataFrame:
    """All attempts without the measured columns."""
    table = workspace.table("captions", SOURCE)
    return table.read().drop(*MEASURED) if table.parts() else Captions.create_empty().drop(*MEASURED)
