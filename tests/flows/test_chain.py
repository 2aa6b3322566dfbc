"""The three flows in a row on tiny random models: every stage runs, nothing runs twice, nothing is lost silently."""

from pathlib import Path

import polars as pl

from coemogen_core.storage.workspace import Workspace
from schemas.metrics import METRIC_NAMES, Metrics
from tests.flows.chain import BROKEN, PAINTINGS, PHOTOS, run_chain


def test_every_photo_is_decided_or_rejected(chain: Path) -> None:
    tables = Workspace(str(chain))
    images, rejected = tables.table("images", "emoset").read(["image_id"]), tables.table("rejected", "emoset").read()
    assert images.height + rejected.height == PHOTOS
    assert rejected["path"].to_list() == [BROKEN]
    version = tables.read_json("decisions", "emoset", "current.json")["version"]
    decisions = tables.table("decisions", "emoset", version).read()
    assert set(decisions["image_id"]) == set(images["image_id"])
    assert set(decisions.filter(~pl.col("kept"))["reason"].unique()) <= {"low alignment", "no caption"}


def test_metrics_and_report_are_complete(chain: Path) -> None:
    runs = [path.parent for path in chain.glob("runs/*/metrics.json")]
    assert len(runs) == 1
    metrics = Metrics.model_validate_json((runs[0] / "metrics.json").read_text())
    assert set(metrics.methods) == {"coemogen", "sd"}
    for measured in metrics.methods.values():
        assert measured.images == 16
        assert all(measured.estimate(name).value is not None for name in METRIC_NAMES)
    assert metrics.emoart is not None
    assert metrics.emoart.candidates == PAINTINGS
    assert metrics.emoart.precision is None or 0 <= metrics.emoart.precision <= 1
    assert {"build-emoset/caption", "build-emoart/score", "train-and-eval/train"} <= set(metrics.stages)
    assert "</html>" in (runs[0] / "report.html").read_text()


def test_the_second_run_recomputes_nothing(world: Path, chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path) -> None:
    folder = Path(chain_copy.uri)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    for outcome in run_chain(world, chain_copy.uri, tiny_clip, tiny_diffusion):
        assert all(stage.recomputed_nothing for stage in outcome.stages), [
            stage for stage in outcome.stages if not stage.recomputed_nothing
        ]
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
