"""build-emoart's classifier: from an encoder of its own or a published head, examined beside whatever people said."""

import io
from pathlib import Path
from uuid import UUID

import pytest
import torch
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from pydantic import ValidationError

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.command_line import app
from flows.params import BuildEmoartParams, Source, load_params
from tests.coemogen_core.classifier.test_human_ratings import HEADER, line

PHOTOS, PAINTINGS = 128, 16


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_photos(root / "photos", PHOTOS, 1)
    write_paintings(root / "paintings", PAINTINGS, 2)
    names = sorted(file.stem for file in (root / "photos" / "image").rglob("*.jpg"))
    rated = [f"{name},{1 + number % 7}" for number, name in enumerate(names)]
    (root / "valence.csv").write_text("\n".join(["image_id,valence_mean_1to7", *rated]) + "\n")
    felt = []
    for number, file in enumerate(sorted((root / "paintings").rglob("*.jpg"))):
        artist, title = file.stem.split("_")
        felt.append(line(artist, title, f"https://x/images/{artist}/{title}.jpg", fear=number / PAINTINGS))
    (root / "felt.tsv").write_text("\n".join(["\t".join(HEADER), *felt]) + "\n")
    return root


def settings(world: Path, workspace: Path, clip: Path, **extra: object) -> dict[str, object]:
    return {
        "workspace": str(workspace),
        "encoder": {"model": str(clip), "device": "cpu"},
        "source": {"name": "paintings", "layout": "wikiart", "root": str(world / "paintings")},
        "labelled_source": "photos",
        "labelled_set": {"name": "photos", "layout": "emoset", "root": str(world / "photos")},
        "probe": {"strengths": [0.01], "hidden_width": 0},
        "min_confidence": 0.05,
        **extra,
    }


def artifact(workspace: Workspace, key: str) -> str:
    """Of the flow run that made this workspace; other tests make such artifacts at the same time."""
    (run,) = [name.removesuffix(".json") for name in workspace.list_files("outcomes", "build-emoart")]
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(run)]))
    with get_client(sync_client=True) as client:
        (found,) = client.read_artifacts(artifact_filter=wanted)
    return str(found.data)


@pytest.mark.usefixtures("prefect_server")
def test_one_run_ingests_trains_examines_and_publishes(
    world: Path, tiny_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = {"model": str(tiny_clip), "device": "cpu", "unit_length": False}
    examined = {"cross_validation": {"folds": 2}, "valence_ratings": str(world / "valence.csv"), "art_ratings": str(world / "felt.tsv")}
    values = settings(world, tmp_path / "w", tiny_clip, probe_encoder=raw, **examined)
    params = load_params("lab", BuildEmoartParams, values)
    outcome = build_emoart(params)
    workspace = Workspace(params.workspace)
    names = {stage.stage.removeprefix("build-emoart/"): stage for stage in outcome.stages}
    assert names["ingest-labelled"].rows == names["cross-validate"].rows == PHOTOS
    assert names["embed"].rows == names["embed-classifier"].rows == names["examine"].rows == PAINTINGS
    assert params.classifier_encoder.encoder_id != params.encoder.encoder_id
    assert workspace.table("embeddings", "paintings", params.encoder.encoder_id).count() == PAINTINGS  # for captions and zero-shot CLIP
    assert workspace.table("embeddings", "photos", params.classifier_encoder.encoder_id).count() == PHOTOS
    assert not workspace.table("embeddings", "photos", params.encoder.encoder_id).parts()
    assert workspace.table("decisions", "emoart", outcome.version).count() == PAINTINGS

    reports = {name.rsplit("-", 1)[0]: workspace.read_json("reports", "emoart", name) for name in workspace.list_files("reports", "emoart")}
    assert set(reports) == {"agreement-oasis", "agreement-wikiart-emotions", "styles"}
    assert reports["agreement-oasis"]["valence"]["pictures"] == PHOTOS
    assert reports["agreement-oasis"]["predictions"].startswith("folds-")
    assert reports["agreement-wikiart-emotions"]["emotions"]["fear"]["pictures"] == PAINTINGS
    assert reports["agreement-wikiart-emotions"]["predictions"].startswith("probe-")
    assert "zero-shot CLIP" in artifact(workspace, "funnel-emoart")
    assert "| accuracy, 8 emotions |" in artifact(workspace, "classifier-emoart")
    assert f"({PHOTOS} pictures" not in artifact(workspace, "agreement-oasis-emoart")
    kept = workspace.table("decisions", "emoart", outcome.version).read(["kept"])["kept"].sum()
    assert f"{kept} of {PAINTINGS} kept; " in caplog.text
    right = f"{reports['agreement-oasis']['valence']['spearman']:.3f}"
    assert f"agreement with OASIS, {PHOTOS} pictures: Spearman's correlation with valence {right}" in caplog.text
    assert "2 folds: " in caplog.text
    assert all(stage.recomputed_nothing for stage in build_emoart(params).stages)


@pytest.mark.usefixtures("prefect_server")
def test_a_published_head_scores_without_a_labelled_set(world: Path, tiny_clip: Path, tmp_path: Path) -> None:
    buffer, generator = io.BytesIO(), torch.Generator().manual_seed(0)
    torch.save({"fc.weight": torch.randn(8, 128, generator=generator), "fc.bias": torch.zeros(8)}, buffer)
    (tmp_path / "head.pth").write_bytes(buffer.getvalue())
    raw = {"model": str(tiny_clip), "device": "cpu", "unit_length": False}
    values = settings(world, tmp_path / "w", tiny_clip, probe_encoder=raw, published_head=str(tmp_path / "head.pth"), labelled_set=None)
    outcome = build_emoart(load_params("lab", BuildEmoartParams, values))
    workspace = Workspace(str(tmp_path / "w"))
    record = workspace.read_json("decisions", "emoart", f"{outcome.version}.recipe.json")
    head = record["recipe"]["selection"]["classifier_id"]
    assert head.startswith("head-")
    assert workspace.table("emotion_scores", "paintings", head).count() == PAINTINGS
    assert not workspace.table("images", "photos").parts()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"published_head": "head.pth"}, "unit_length = false"),
        ({"published_head": "head.pth", "probe_encoder": {"backbone": "efficientnet-lite0"}}, "unit_length = false"),
        ({"valence_ratings": "ratings.csv"}, "set cross_validation too"),
        ({"labelled_set": {"name": "other", "layout": "emoset", "root": "x"}}, "name them alike"),
        ({"probe_encoder": {"backbone": "resnet-50"}}, "efficientnet-lite0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_any_work(tmp_path: Path, tiny_clip: Path, extra: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        load_params("lab", BuildEmoartParams, settings(tmp_path, tmp_path / "w", tiny_clip, **extra))


def test_the_command_line_hands_all_of_it_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import flows.build_emoart as module

    given: list[BuildEmoartParams] = []

    class Outcome:
        stages = ()

    monkeypatch.setattr(module, "build_emoart", lambda params: given.append(params) or Outcome())
    command = ["build-emoart", "art", "--workspace", str(tmp_path), "--profile", "real", "--labelled-root", "photos"]
    app([*command, "--valence-ratings", "v.csv", "--art-ratings", "a.tsv"], result_action="return_value")
    (params,) = given
    assert params.labelled_set == Source(name="emoset", layout="emoset", root="photos")
    assert (params.valence_ratings, params.art_ratings) == ("v.csv", "a.tsv")
    assert params.classifier_encoder.backbone == "efficientnet-lite0"
    assert params.cross_validation.folds == 5
