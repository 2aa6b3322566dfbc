"""The same flows on real photos and real paintings with the lab's models: poor numbers, but everything comes through."""

from pathlib import Path

import pytest

from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.params import BuildEmoartParams, BuildEmosetParams, load_params
from flows.train_and_eval import train_and_eval
from flows.train_params import TrainAndEvalParams


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_all_real_photos_and_paintings_come_through(shared_data: Path, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "workspace"))
    shared = {"workspace": workspace.uri}
    photos = {"name": "photos", "layout": "emoset", "root": str(shared_data / "mini_emoset")}
    paintings = {"name": "paintings", "layout": "wikiart", "root": str(shared_data / "mini_wikiart")}
    build_emoset(load_params("lab", BuildEmosetParams, {**shared, "source": photos}))
    wanted = {"source": paintings, "labelled_source": "photos", "min_confidence": 0.3}
    emoart = build_emoart(load_params("lab", BuildEmoartParams, {**shared, **wanted}))
    assert workspace.table("images", "photos").count() == 278
    assert workspace.table("images", "paintings").count() == 69
    assert workspace.table("captions", "photos").count() == 278
    decisions = workspace.table("decisions", "emoart", emoart.version).read()
    assert decisions.height == 69
    assert decisions["reason"].null_count() == 0

    settings = {"training": {"steps": 4, "batch_size": 8, "warmup_steps": 0}, "images_per_emotion": 2}
    settings |= {"generation": {"num_inference_steps": 2}, "evaluation": {"resamples": 20}}
    outcome = train_and_eval(load_params("lab", TrainAndEvalParams, {**shared, "emoart_dataset": "emoart", **settings}))
    report = Path(outcome.report).read_text()
    assert "</html>" in report
    assert 'src="http' not in report
