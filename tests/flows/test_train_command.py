"""`coemogen train`: missing features are cached by one process, and refused by several."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coemogen_core.methods import coemogen
from coemogen_core.training.run import TrainingOutcome
from flows.command_line import train_alone
from flows.params import load_params
from flows.train_params import TrainAndEvalParams


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked for, in order, on a corpus of two parts."""
    asked: list[tuple[Any, ...]] = []

    def train(workspace: Any, dataset: str, feature_id: str, models: Any, recipe: Any, **_: Any) -> TrainingOutcome:
        asked.append(("train", dataset, recipe.steps))
        return TrainingOutcome(run_id="train-a", steps=recipe.steps, images=2, reused=False, seconds=1.0)

    record = SimpleNamespace(dataset="emoset", version="v1", parts=("a", "b"), source="photos")
    monkeypatch.setattr(train_alone, "read_corpora", lambda *_: [record])
    monkeypatch.setattr(train_alone, "trained_emotions", lambda *_: ("awe",))
    monkeypatch.setattr(train_alone, "list_parts", lambda *_: ["b"])
    monkeypatch.setattr(train_alone, "cache_features_part", lambda *given: asked.append(("cache", *given[1:5])))
    monkeypatch.setattr(coemogen, "train", train)
    return asked


def params(folder: Path) -> TrainAndEvalParams:
    return load_params("lab", TrainAndEvalParams, {"workspace": str(folder), "version": "v1", "training": {"steps": 7}})


def test_one_process_caches_what_is_missing_and_trains(calls: list[tuple[Any, ...]], tmp_path: Path, capsys: Any) -> None:
    train_alone.train_alone(params(tmp_path))
    assert calls == [("cache", "emoset", "v1", "photos", "a"), ("train", "emoset", 7)]
    assert "runs/train-a" in capsys.readouterr().out


def test_several_processes_do_not_all_compute_features(
    calls: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(FileNotFoundError, match=r"1 of 2 parts have no features yet.*without accelerate launch"):
        train_alone.train_alone(params(tmp_path))
    assert calls == []
