"""The contact sheet shows every method's samples in their places."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from coemogen_core.data.thumbnail import GAP, HEADER_HEIGHT, LABEL_WIDTH
from coemogen_core.emotions import EMOTIONS
from coemogen_core.report.pictures import contact_sheet
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Samples


def flat_png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_samples(workspace: Workspace, run_id: str, method: str, colour: tuple[int, int, int]) -> None:
    for emotion in EMOTIONS:
        images = [{"bytes": flat_png(colour), "path": f"{k}.png"} for k in range(3)]
        rows = pl.DataFrame({"emotion": [emotion] * 3, "index": [0, 1, 2], "seed": [0, 1, 2], "image": images})
        workspace.table("runs", run_id, "samples", method).write_part(emotion, rows, Samples)


def test_methods_stand_side_by_side_and_emotions_below_each_other(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    write_samples(workspace, "a", "sd", (200, 0, 0))
    write_samples(workspace, "b", "coemogen", (0, 0, 200))
    sheet = contact_sheet(workspace, {"sd": "a", "coemogen": "b"}, {"sd": "base", "coemogen": "ours"}, columns=2, side=20)
    pixels = np.asarray(Image.open(io.BytesIO(sheet)))
    assert pixels.shape == (HEADER_HEIGHT + 8 * 22, LABEL_WIDTH + 2 * (2 * 20 + GAP), 3)
    for row in range(8):
        y = HEADER_HEIGHT + row * 22 + 10
        assert pixels[y, LABEL_WIDTH + 30].tolist() == [200, 0, 0]
        assert pixels[y, LABEL_WIDTH + 2 * 20 + GAP + 30].tolist() == [0, 0, 200]
    assert sheet == contact_sheet(workspace, {"sd": "a", "coemogen": "b"}, {"sd": "base", "coemogen": "ours"}, columns=2, side=20)


def test_missing_samples_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="amusement"):
        contact_sheet(Workspace(str(tmp_path)), {"sd": "a"}, {"sd": "base"})
