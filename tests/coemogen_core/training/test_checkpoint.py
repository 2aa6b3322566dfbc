"""Checkpoints: whole, of numbers only, the newest and the best."""

import pytest
import torch

from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.checkpoint import SCORE, Checkpoint, CheckpointFolder
from coemogen_core.training.stopping import TrainingDivergedError, check_tensors


def checkpoint(step: int, score: float | None = None, value: float = 1.0) -> Checkpoint:
    return Checkpoint(step, {"weights.a": torch.full((3,), value)}, {} if score is None else {SCORE: score})


def test_a_checkpoint_file_comes_back():
    before = Checkpoint(7, {"weights.a": torch.randn(3), "optimizer.0.step": torch.ones(10)}, {"loss_scale": {"scale": 2.0}})
    again = Checkpoint.from_bytes(before.to_bytes())
    assert (again.step, again.facts) == (before.step, before.facts)
    assert torch.equal(again.tensors["weights.a"], before.tensors["weights.a"])
    assert before.to_bytes() == again.to_bytes()


@pytest.mark.parametrize("uri", ["{tmp_path}", "memory://best-checkpoints"])
def test_the_newest_and_the_best_stay(tmp_path, uri):
    folder = CheckpointFolder(Workspace(uri.format(tmp_path=tmp_path)), "run", keep=2, keep_best=2)
    for step, score in enumerate([0.9, 0.3, 0.5, None, 0.3, 0.8, 0.7], start=1):
        folder.save(checkpoint(step, score))
    assert folder.steps() == [2, 5, 6, 7]
    newest = folder.newest()
    assert newest is not None
    assert newest.step == 7


def test_without_best_ones_only_the_newest_stay(tmp_path):
    folder = CheckpointFolder(Workspace(str(tmp_path)), "run", keep=1)
    for step, score in enumerate([0.1, 0.5, 0.9], start=1):
        folder.save(checkpoint(step, score))
    assert folder.steps() == [3]


@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_a_state_that_holds_what_is_no_number_is_not_worth_keeping(broken):
    check_tensors(checkpoint(1).tensors, 1)
    with pytest.raises(TrainingDivergedError, match=r"after step 2, 1 tensors .* weights\.a"):
        check_tensors(checkpoint(2, value=broken).tensors, 2)
