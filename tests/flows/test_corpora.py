"""Every corpus can be trained on: paintings, a folder without splits, several together, and one after another."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copy
from threading import current_thread, main_thread

import pytest

from coemogen_core.emotions import EMOART_EMOTIONS
from coemogen_core.evaluation import recipe as evaluation_recipe
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Workspace
from flows.build_emoset import build_emoset
from flows.command_line.train_alone import train_alone
from flows.params import BuildEmosetParams, load_params
from flows.train_params import TrainAndEvalParams
from schemas.metrics import Metrics
from schemas.outcomes import RunOutcome
from tests.flows.chain import CAPTION, PART_SIZE, run_emoset, run_training

FOUR = ("awe", "contentment", "anger", "sadness")


def numbers(workspace: Workspace, outcome: RunOutcome) -> Metrics:
    return Metrics.model_validate_json(workspace.read_file("runs", outcome.run_id, "metrics.json"))


def kept_emotions(workspace: Workspace, dataset: str) -> set[str]:
    version = workspace.read_json("decisions", dataset, "current.json")["version"]
    return set(workspace.table("decisions", dataset, version).read().filter("kept")["label"])


def check_emotions(workspace: Workspace, outcome: RunOutcome, emotions: Sequence[str]) -> None:
    """Pictures, numbers, real images, report and sheet are of these emotions alone."""
    metrics = numbers(workspace, outcome)
    assert metrics.reference is not None
    for method, found in metrics.methods.items():
        assert list(found.per_emotion) == list(emotions)
        assert set(SampleSet(workspace, outcome.sample_runs[method], method).emotions()) >= set(emotions)
    assert set(metrics.reference.per_emotion) >= set(emotions)
    report = workspace.read_file("runs", outcome.run_id, "report.html").decode()
    counted = {4: "four", 6: "six", 8: "eight"}.get(len(emotions), "")
    assert f"Images that evoke {counted}" in report


def test_paintings(
    chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    emotions = [emotion for emotion in EMOART_EMOTIONS if emotion in kept_emotions(chain_copy, "emoart")]
    assert 1 < len(emotions) <= 6
    outcome = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, dataset="emoart")
    check_emotions(chain_copy, outcome, emotions)
    reference = numbers(chain_copy, outcome).reference
    assert reference is not None
    assert (reference.source, reference.labels) == ("wikiart", "classifier")
    assert "a classifier&#39;s labels, which nobody has confirmed" in Path(outcome.report).read_text()
    threads, load = set[bool](), evaluation_recipe._load
    monkeypatch.setattr(evaluation_recipe, "_load", lambda *given: (threads.add(current_thread() is main_thread()), load(*given))[1])
    again = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, dataset="emoart")
    assert all(stage.recomputed_nothing for stage in again.stages)
    assert threads == {False}  # a main thread that has computed slows down all others (flows.stages.on_worker)


def test_a_folder_of_four_emotions_without_splits(
    world: Path, tmp_path: Path, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str
) -> None:
    for emotion in FOUR:
        (tmp_path / "folder" / emotion).mkdir(parents=True)
        for picture in sorted((world / "photos" / "image" / emotion).iterdir())[5:15]:
            copy(picture, tmp_path / "folder" / emotion)
    workspace = Workspace(str(tmp_path / "workspace"))
    source = {"name": "mine", "layout": "image_folder", "root": str(tmp_path / "folder")}
    shared = {"workspace": workspace.uri, "part_size": PART_SIZE, "encoder": {"model": str(tiny_clip)}, "caption": CAPTION}
    build_emoset(load_params("lab", BuildEmosetParams, {**shared, "source": source, "dataset": "mine"}))
    outcome = run_training(workspace.uri, tiny_clip, tiny_diffusion, dataset="mine")
    check_emotions(workspace, outcome, FOUR)
    with pytest.raises(ValueError, match=r"mine mine-\w+ kept \d+ pictures, but none of the split val \(it has .*train \d+\)"):
        run_training(workspace.uri, tiny_clip, tiny_diffusion, dataset="mine", train_splits=["val"])


def test_photos_and_paintings_together_and_one_after_the_other(
    chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str
) -> None:
    joint = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, joined_with=["emoart"])
    found = numbers(chain_copy, joint)
    assert len(found.methods["coemogen"].per_emotion) == 8
    against_art = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, joined_with=["emoart"], reference_dataset="emoart")
    assert against_art.model_run_id == joint.model_run_id
    assert numbers(chain_copy, against_art).reference.source == "wikiart"  # type: ignore[union-attr]
    photos = chain_copy.list_folders("runs")
    model = next(run for run in photos if run.startswith("train-") and run != joint.model_run_id)
    steps = {"steps": 8, "batch_size": 2, "warmup_steps": 0}
    tuned = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, dataset="emoart", training={**steps, "from_run": model})
    assert tuned.model_run_id not in (model, joint.model_run_id)
    config = chain_copy.read_json("runs", str(tuned.model_run_id), "model", "config.json")
    assert config["training"]["recipe"]["from_run"] == model
    assert "It began with the weights of" in Path(tuned.report).read_text()
    one = {"seeds": [0], "methods": [{"method": "coemogen"}, {"method": "sd"}]}
    compared = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, dataset="emoart", training={**steps, "from_run": model}, matrix=one)
    assert chain_copy.read_json("runs", compared.run_id, "experiments.json")["budgets"] == {"coemogen": 32}  # 16 of them before
    both = Path(joint.report).read_text()
    assert all(f"<h3>{dataset}</h3>" in both for dataset in ("emoset", "emoart"))


def test_a_beginning_that_does_not_fit_is_refused_before_anything_is_computed(
    chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str
) -> None:
    model = next(run for run in chain_copy.list_folders("runs") if run.startswith("train-"))
    matrix = {"seeds": [0], "methods": [{"method": "sd"}, {"method": "coemogen", "settings": {"rank": 3}}]}
    before = chain_copy.list_folders("features", "emoart"), chain_copy.list_folders("runs")
    wrong = {"dataset": "emoart", "training": {"steps": 8, "rank": 3, "from_run": model}}
    models = {"diffusion": str(tiny_diffusion), "clip": str(tiny_clip)}
    with pytest.raises(ValueError, match=rf"training.from_run {model} has another rank"):
        train_alone(load_params("lab", TrainAndEvalParams, {"workspace": chain_copy.uri, "models": models, **wrong}))
    with pytest.raises(ValueError, match=rf"training.from_run {model} has another rank"):
        run_training(chain_copy.uri, tiny_clip, tiny_diffusion, dataset="emoart", matrix=matrix, training={"from_run": model})
    assert before == (chain_copy.list_folders("features", "emoart"), chain_copy.list_folders("runs"))


def test_a_method_of_a_matrix_learns_from_other_captions(
    chain_copy: Workspace, world: Path, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str
) -> None:
    """The paper's study of captions: the same pictures, described without knowing their emotion."""
    matrix = {
        "seeds": [0],
        "methods": [{"method": "coemogen"}, {"method": "coemogen", "name": "without-prior", "corpora": ["emoset_plain_short"]}],
    }
    with pytest.raises(FileNotFoundError, match=r"method without-prior of the matrix: .*emoset_plain_short"):
        run_training(chain_copy.uri, tiny_clip, tiny_diffusion, matrix=matrix)
    before = kept_emotions(chain_copy, "emoset"), chain_copy.read_json("decisions", "emoset", "current.json")
    plain = {**CAPTION, "prompt_id": "plain-short.v1"}
    built = run_emoset(world, chain_copy.uri, tiny_clip, dataset="emoset_plain_short", caption=plain)
    stages = {stage.stage.partition("/")[2]: stage for stage in built.stages}
    assert stages["ingest"].recomputed_nothing
    assert not stages["caption"].recomputed_nothing
    assert before == (kept_emotions(chain_copy, "emoset"), chain_copy.read_json("decisions", "emoset", "current.json"))
    outcome = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, matrix=matrix)
    configs = [
        chain_copy.read_json("runs", cell["training_run"], "model", "config.json")["training"]
        for cell in chain_copy.read_json("runs", outcome.run_id, "experiments.json")["runs"]
    ]
    assert [config["dataset"] for config in configs] == ["emoset", "emoset_plain_short"]
    assert configs[0]["recipe"] == configs[1]["recipe"]
    again = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, matrix=matrix)
    assert all(stage.recomputed_nothing for stage in again.stages)
