"""The evaluation tasks on untrained judges: from samples and real images to metrics.json and report.html."""

import hashlib
import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from prefect import flow

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decisions import CurationRecipe, DecisionsRecord
from coemogen_core.curation.selection import Selection
from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.evaluation.emoart import truth_of_images
from coemogen_core.evaluation.encoder_extractors import ClipEmbedder
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.lab_extractors import extractors_of_judges
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part, select_reference
from coemogen_core.evaluation.run_files import MethodEvaluation
from coemogen_core.lab.judges import ContentJudge, EmotionJudge
from coemogen_core.report.build import ReportRecipe
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import METRIC_NAMES, Metrics
from schemas.outcomes import PartOutcome
from schemas.tables import Decisions, Images, Samples
from tasks import evaluate as tasks
from tests.coemogen_core.curation.small_tables import decisions_frame
from tests.tasks.conftest import Taken

RECIPE = EvaluationRecipe(resamples=30, minimum_reference=20)
PARTS = ("part-00000", "part-00001")
RECORD = DecisionsRecord(
    version="v1",
    source="photos",
    parts=PARTS,
    captions="0",
    recipe=CurationRecipe(dataset="photos", selection=Selection(), captions=CaptionPolicy(choose="latest"), encoder_id="clip"),
)
COUNT = 6


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def image_rows(count: int, first: int, split: str | None) -> list[dict[str, object]]:
    rows = []
    for k in range(count):
        data = png(first + k)
        row = {
            "image_id": hashlib.sha256(data).hexdigest(),
            "image": {"bytes": data, "path": f"{first + k}.png"},
            "width": 64,
            "height": 64,
        }
        nothing = dict.fromkeys(("artist", "style", "genre", "licence", "attributes"))
        rows.append(row | nothing | {"label": EMOTIONS[k % 8], "split": split})
    return rows


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    for part, (count, first, split) in enumerate([(24, 1000, "train"), (32, 2000, "test")]):
        rows = image_rows(count, first, split)
        workspace.table("images", "photos").write_part(PARTS[part], pl.DataFrame(rows), Images)
        decided = decisions_frame([{**{name: row[name] for name in ("image_id", "label")}, "kept": True, "reason": "kept"} for row in rows])
        decisions = Decisions.cast(decided.select(Decisions.column_names()))
        workspace.table("decisions", "photos", "v1").write_part(PARTS[part], decisions, Decisions)
    for index, emotion in enumerate(EMOTIONS):
        rows = [
            {"emotion": emotion, "index": k, "seed": k, "image": {"bytes": png(100 * index + k), "path": f"{k}.png"}} for k in range(COUNT)
        ]
        workspace.table("runs", "r1", "samples", "sd").write_part(emotion, pl.DataFrame(rows), Samples)
    return workspace


@pytest.fixture(scope="module")
def extractors(tiny_clip: Path) -> ExtractorSet:
    torch.manual_seed(0)
    encoder = load_encoder(EncoderRecipe(model=str(tiny_clip), device="cpu"))
    content = ContentJudge(("dog", "cake"), ("beach", "wood"))
    return extractors_of_judges(EmotionJudge(), content, ClipEmbedder(encoder, encoder.recipe.encoder_id))


@flow
def evaluate_flow(uri: str) -> tuple[ReferenceSelection, list[PartOutcome], MethodEvaluation, Metrics, str, str]:
    selection = tasks.select_reference_task(uri, RECORD, RECIPE)
    parts = [tasks.reference_part_task(uri, selection, part, RECIPE) for part in selection.parts]
    real = tasks.evaluate_real_images_task(uri, selection, RECIPE)
    found = tasks.evaluate_method_task(uri, "r1", "sd", selection, RECIPE)
    metrics = Metrics(run_id="r1", protocol="corrected", seed=0, confidence_level=0.95, methods={"sd": found.metrics}, reference=real)
    written = tasks.write_metrics_task(uri, metrics)
    report = tasks.write_report_task(uri, metrics, {"sd": "r1"}, ReportRecipe())
    return selection, parts, found, metrics, written, report


def test_from_samples_to_report_and_nothing_twice(
    workspace: Workspace, extractors: ExtractorSet, monkeypatch: pytest.MonkeyPatch, prefect_server: None, taken: Taken
) -> None:
    monkeypatch.setattr(tasks, "load_extractors", lambda recipe: extractors)
    selection, parts, found, metrics, written, report = evaluate_flow(workspace.uri)
    assert (selection.split, selection.parts, selection.images) == ("test", ("part-00001",), 32)
    assert [(part.rows, part.reused) for part in parts] == [(32, False)]
    assert [part.part for part in found.parts] == list(EMOTIONS)
    assert not found.reused
    assert all(found.metrics.estimate(name).value is not None for name in METRIC_NAMES)
    assert metrics.reference is not None
    assert (metrics.reference.images, metrics.reference.split) == (32, "test")
    assert Metrics.model_validate_json(Path(written).read_text()) == metrics
    assert "an image" not in Path(report).read_text()[:200]
    assert Path(report).read_text().startswith("<!DOCTYPE html>")
    first = Path(report).read_bytes()

    assert taken == [("gpu", 1)] * (1 + len(EMOTIONS))  # features of a real part and of the samples; numbers need no network
    _, parts, again, metrics_again, _, report = evaluate_flow(workspace.uri)
    assert len(taken) == 1 + len(EMOTIONS)
    assert all(part.reused for part in (*parts, *again.parts))
    assert again.reused
    assert metrics_again == metrics
    assert Path(report).read_bytes() == first


def test_a_small_test_split_is_not_used_alone(workspace: Workspace) -> None:
    assert select_reference(workspace, "photos", 33, "corrected").split is None
    assert select_reference(workspace, "photos", 33, "corrected").images == 56


def test_missing_inputs_are_named(workspace: Workspace, extractors: ExtractorSet) -> None:
    selection = ReferenceSelection(source="photos", split="val", parts=("part-00000",), images=24, rows="0")
    assert reference_part(workspace, selection, "part-00000", RECIPE, extractors).rows == 0
    with pytest.raises(FileNotFoundError, match="generate them before evaluating 'coemogen'"):
        tasks.evaluate_samples(workspace, "r1", "coemogen", selection, RECIPE, extractors)


def test_truth_is_found_by_path(workspace: Workspace) -> None:
    truth = truth_of_images(workspace, "photos", {"1000.png": "awe", "2001.png": None, "absent.png": "fear"})
    assert sorted(truth.values(), key=str) == [None, "awe"]


@pytest.mark.usefixtures("prefect_server")
def test_the_report_asks_its_networks_within_a_slot(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, taken: Taken) -> None:
    def build(*_: object, slot: Slot) -> None:
        with slot():
            pass

    monkeypatch.setattr(tasks, "build_report_data", build)
    monkeypatch.setattr(tasks, "write_report", lambda *_: "report.html")
    metrics = Metrics(run_id="r2", protocol="corrected", seed=0, confidence_level=0.95, methods={}, reference=None)
    flow(lambda: tasks.write_report_task(workspace.uri, metrics, {}, ReportRecipe(), evaluation=RECIPE), name="report")()
    assert taken == [("gpu", 1)]
