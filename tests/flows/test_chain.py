"""The three flows in a row on tiny random models: every stage runs, nothing runs twice, nothing is lost silently."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.params import BuildEmoartParams, BuildEmosetParams, TrainAndEvalParams, load_params
from flows.train_and_eval import train_and_eval
from schemas.metrics import METRIC_NAMES, Metrics
from schemas.outcomes import CorpusOutcome, RunOutcome

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def models(tiny_clip: Path, tiny_diffusion: Path) -> dict[str, str]:
    return {"clip": str(tiny_clip), "diffusion": str(tiny_diffusion)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_photos(root / "photos", 128, 1)
    (root / "photos" / "image" / "awe" / "awe_00002.jpg").write_bytes(b"\xff\xd8 no picture")
    write_paintings(root / "paintings", 24, 2)
    return root


def run_chain(world: Path, workspace: Path, models: dict[str, str]) -> tuple[CorpusOutcome, CorpusOutcome, RunOutcome]:
    shared = {
        "workspace": str(workspace),
        "part_size": 70,
        "encoder": {"model": models["clip"]},
        "caption": {"model": "lab:captioner", "max_new_tokens": 48},
    }
    photos = {"name": "photos", "layout": "emoset", "root": str(world / "photos")}
    paintings = {"name": "paintings", "layout": "wikiart", "root": str(world / "paintings")}
    emoset = build_emoset(load_params("lab", BuildEmosetParams, {**shared, "source": photos}))
    wanted = {"source": paintings, "labelled_source": "photos", "min_confidence": 0.13}
    emoart = build_emoart(load_params("lab", BuildEmoartParams, {**shared, **wanted}))
    training = {
        "workspace": str(workspace),
        "emoart_dataset": "emoart",
        "emoart_truth": str(world / "paintings"),
        "models": {"diffusion": models["diffusion"], "clip": models["clip"]},
        "training": {"steps": 3, "batch_size": 4, "warmup_steps": 0},
        "images_per_emotion": 2,
        "generation": {"num_inference_steps": 2},
        "evaluation": {"clip_model": models["clip"], "resamples": 20},
    }
    return emoset, emoart, train_and_eval(load_params("lab", TrainAndEvalParams, training))


@pytest.fixture(scope="module")
def workspace(world: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    run_chain(world, folder, models)
    return folder


def test_every_photo_is_decided_or_rejected(workspace: Path) -> None:
    tables = Workspace(str(workspace))
    images, rejected = tables.table("images", "photos").read(["image_id"]), tables.table("rejected", "photos").read()
    assert images.height + rejected.height == 128
    assert rejected["path"].to_list() == ["image/awe/awe_00002.jpg"]
    version = tables.read_json("decisions", "emoset", "current.json")["version"]
    decisions = tables.table("decisions", "emoset", version).read()
    assert set(decisions["image_id"]) == set(images["image_id"])
    assert set(decisions.filter(~pl.col("kept"))["reason"].unique()) <= {"low alignment", "no caption"}


def test_metrics_and_report_are_complete(workspace: Path) -> None:
    runs = [path.parent for path in workspace.glob("runs/*/metrics.json")]
    assert len(runs) == 1
    metrics = Metrics.model_validate_json((runs[0] / "metrics.json").read_text())
    assert set(metrics.methods) == {"coemogen", "sd"}
    for measured in metrics.methods.values():
        assert measured.images == 16
        assert all(measured.estimate(name).value is not None for name in METRIC_NAMES)
    assert metrics.emoart is not None
    assert metrics.emoart.candidates == 24
    assert metrics.emoart.precision is None or 0 <= metrics.emoart.precision <= 1
    assert {"build-emoset/caption", "build-emoart/score", "train-and-eval/train"} <= set(metrics.stages)
    assert "</html>" in (runs[0] / "report.html").read_text()


def test_the_second_run_recomputes_nothing(world: Path, workspace: Path, models: dict[str, str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")}
    for outcome in run_chain(world, workspace, models):
        assert all(stage.recomputed_nothing for stage in outcome.stages), [
            stage for stage in outcome.stages if not stage.recomputed_nothing
        ]
    assert before == {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")}
