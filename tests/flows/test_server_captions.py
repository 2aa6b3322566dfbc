"""A corpus flow whose captions come from a server: several parts at once, all captioned, once each."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.lab.corpora import write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoset import build_emoset
from flows.params import BuildEmosetParams, load_params
from tests.coemogen_core.captioning.server.server_process import UnrulyProcess, answered
from tests.coemogen_core.captioning.server.unruly_server import MODEL

pytestmark = pytest.mark.usefixtures("prefect_server")
PHOTOS = 96


def test_parts_are_captioned_side_by_side_and_once_each(tmp_path: Path, tiny_clip: Path) -> None:
    photos = {"name": "photos", "layout": "emoset", "root": str(write_photos(tmp_path / "photos", PHOTOS, 5))}
    with UnrulyProcess(delay_s=0.02, log=str(tmp_path / "log"), shares={"500": 0.1}) as server:
        captioner = {"backend": "server", "endpoints": [server.endpoint], "parts_at_once": 3, "max_retries": 20}
        changed = {"workspace": str(tmp_path / "w"), "source": photos, "part_size": 30, "encoder": {"model": str(tiny_clip)}}
        params = load_params("lab", BuildEmosetParams, {**changed, "caption": {"model": MODEL}, "captioner": captioner})
        first, second = build_emoset(params), build_emoset(params)
    rows = Workspace(str(tmp_path / "w")).table("captions", "photos").read()
    assert rows.filter(pl.col("caption").is_not_null())["image_id"].n_unique() == PHOTOS == rows.height
    assert set(answered(tmp_path / "log").values()) == {1}
    stages = {stage.stage: stage for stage in first.stages}
    assert stages["build-emoset/caption"].parts == 4
    assert all(stage.recomputed_nothing for stage in second.stages)
