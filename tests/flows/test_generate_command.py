import sys

import pytest

from coemogen_core.generation.picture_folder import record_of
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.storage.workspace import Workspace
from flows.command_line import main
from tests.coemogen_core.generation.small_model import new_trained_model


@pytest.fixture
def run(monkeypatch, models, trained_workspace, capsys):
    """The command as the shell starts it; returns its exit code and what it printed."""
    monkeypatch.setattr("flows.command_line.front.prepare_environment", lambda **_: None)
    base = [f"--set=models.{name}={getattr(models, name)}" for name in ("diffusion", "clip")]

    def call(*arguments: str, place: tuple[str, ...] = ("--workspace", trained_workspace)) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["coemogen", "generate", *arguments, *place, "--steps", "2", "--device", "cpu", *base])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call


def test_all_emotions_that_were_trained_and_the_rest_named(run, tmp_path):
    code, text = run("all", "--count", "1", "--out", str(tmp_path / "out"))
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == [
        "amusement",
        "anger",
        "awe",
        "contentment",
        "excitement",
    ]
    assert "5 pictures made, 0 there already; contact sheet" in text
    assert "left out, the training corpus had no such pictures: disgust, fear, sadness" in text
    assert "0 pictures made, 5 there already" in run("all", "--count", "1", "--out", str(tmp_path / "out"))[1]


def test_options_reach_the_picture_and_it_can_be_made_again(run, tmp_path):
    wanted = ["--content", "a boat at sea", "--intensity", "1.5", "--negative-prompt", "a dog", "--height", "48", "--scheduler", "euler a"]
    code, text = run("awe=0.6,anger=0.4", "--count", "2", "--seed", "9", "--out", str(tmp_path / "out"), *wanted)
    assert code == 0, text
    picture = tmp_path / "out" / "awe-0.6-anger-0.4" / "awe-0.6-anger-0.4-00001.png"
    record = record_of(picture)
    assert (record.seed, record.recipe.content, record.recipe.intensity, record.recipe.height) == (10, "a boat at sea", 1.5, 48)
    assert (record.recipe.negative_prompt, record.recipe.scheduler, record.recipe.num_inference_steps) == ("a dog", "euler a", 2)
    code, text = run("--from", str(picture), "--out", str(tmp_path / "again"))
    assert code == 0, text
    assert "the same" in text
    assert record_of(tmp_path / "again" / picture.name) == record


def test_a_saved_pipeline_serves_as_well(run, models, trained_workspace, tmp_path):
    pipe = EmotionPipeline.from_run(models, Workspace(trained_workspace).path("runs", "train-1", "model"), "cpu")
    pipe.save_pretrained(tmp_path / "saved", include_base=False)
    code, text = run("awe", "--count", "1", "--out", str(tmp_path / "out"), "--model", str(tmp_path / "saved"), place=())
    assert code == 0, text
    _, text = run("awe", "--count", "1", "--out", str(tmp_path / "out"))
    assert "0 pictures made, 1 there already" in text  # the same model by another way


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("joy",), "unknown emotion 'joy'; expected one of"),
        (("sadness",), "no cluster for sadness"),
        (("awe", "--width", "60"), "width 60: this model draws multiples of 8 pixels; 64 would do"),
        (("awe", "--scheduler", "best"), "scheduler"),
        (("awe", "--count", "0"), "--count 0: give 1 to 100000"),
        (("awe", "--seed", "-1"), "--seed -1: give 0 to"),
        (("awe", "--run", "train-2"), "train first"),
        (("awe", "--model", "nowhere"), "no pipeline in nowhere"),
        (("awe", "--content", "a boat " * 100), "content of 200 tokens"),
        ((), "give an emotion, or --from"),
        (("--from", "nothing.png"), "nothing.png"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run, tmp_path, arguments, said):
    code, text = run(*arguments, "--out", str(tmp_path / "out"))
    assert code == 2
    assert said in text
    assert len(text.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.png"))


def test_a_folder_that_cannot_be_written_and_a_workspace_without_a_model(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, text = run("awe", "--count", "1", "--out", str(tmp_path / "file" / "out"))
    assert (code, len(text.strip().splitlines())) == (2, 1)
    assert "file" in text
    code, text = run("awe", "--out", str(tmp_path / "out"), place=("--workspace", str(tmp_path / "none")))
    assert code == 2
    assert "no trained model in" in text


def test_two_models_are_not_guessed_between(run, models, tmp_path):
    runs = {"train-1": "emoset", "train-2": "emoart", "textual-inversion-3": None}
    place = ("--workspace", str(tmp_path / "two"))
    for name, corpus in runs.items():
        folder = str(tmp_path / "two" / "runs" / name / "model")
        if corpus is None:  # a baseline's model is no choice
            Workspace(folder).write_json({"training": {"dataset": "emoset"}}, "config.json")
        else:
            new_trained_model(models, dataset=corpus).save(folder)
    code, text = run("awe", "--out", str(tmp_path / "out"), place=place)
    assert code == 2
    assert "holds several trained models: give --dataset, or --run with one of train-1 (emoset), train-2 (emoart)" in text
    code, text = run("awe", "--dataset", "photos", "--out", str(tmp_path / "out"), place=place)
    assert code == 2
    assert "no trained model of photos in" in text
    code, text = run("awe", "--dataset", "emoart", "--run", "train-1", "--out", str(tmp_path / "out"), place=place)
    assert code == 2
    assert "run train-1 learned from emoset, not from emoart: leave out --dataset or --run" in text
    new_trained_model(models, dataset="emoset").save(str(tmp_path / "two" / "runs" / "train-3" / "model"))
    code, text = run("awe", "--dataset", "emoset", "--out", str(tmp_path / "out"), place=place)
    assert code == 2
    assert "several trained models of emoset: give --run with one of train-1 (emoset), train-3 (emoset)" in text
    assert run("awe", "--dataset", "emoart", "--count", "1", "--out", str(tmp_path / "out"), place=place)[0] == 0
    assert run("awe", "--run", "train-2", "--count", "1", "--out", str(tmp_path / "other"), place=place)[0] == 0
    assert (tmp_path / "out" / "awe" / "awe-00000.png").read_bytes() == (tmp_path / "other" / "awe" / "awe-00000.png").read_bytes()
