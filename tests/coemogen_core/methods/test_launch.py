"""CoEmoGen trained by `accelerate launch`, started and ended from here: on a CPU, two gloo processes."""

import sys
import threading

import psutil
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load

from coemogen_core.methods import coemogen
from coemogen_core.methods.coemogen import CHILD, CoEmoGen
from coemogen_core.methods.method import TrainingData
from coemogen_core.methods.prompted import PlainDiffusion
from coemogen_core.training.launch import LaunchError, LaunchSettings, train_in_processes
from coemogen_core.training.loss_log import read_log
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train, training_run_id
from coemogen_core.training.stopping import TrainingStoppedError, stops_with_this_block

# A step's four samples show four emotions: every row of emotion gates that one process uses, the other does not.
RECIPE = TrainingRecipe(steps=6, batch_size=4, log_every=2, checkpoint_every=3, condition_dropout=0.3, device="cpu")
TWO = LaunchSettings(processes=2)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


def children(workspace):
    """Processes of a training in this workspace, wherever they hang."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if CHILD in command and any(workspace.uri in word for word in command):
            found.append(process)
    return found


@pytest.mark.slow
def test_two_processes_that_accumulate_have_the_losses_and_weights_of_one_and_report_as_they_go(data):
    recipe = RECIPE.model_copy(update={"accumulate": 2})
    train(data.workspace, data.dataset, data.feature_id, data.models, RECIPE, run_id="launch-alone")
    seen = []
    CoEmoGen("coemogen", recipe).train(data, seen.append, TWO)
    assert [(progress.step, progress.steps) for progress in seen] == [(2, 6), (4, 6), (6, 6)]
    together = training_run_id(data.workspace, data.dataset, data.feature_id, data.models, recipe)
    for first, second in zip(*(read_log(data.workspace, run) for run in ("launch-alone", together)), strict=True):
        assert second["step"] == first["step"]
        assert second["ldm"] == pytest.approx(first["ldm"], rel=1e-4)
        assert second["sem"] == pytest.approx(first["sem"], rel=1e-4)
        assert second["emotions"].keys() == first["emotions"].keys()
        assert sum(losses["samples"] for losses in second["emotions"].values()) == 8
    for name in ("hilora", "conditioner"):
        expected, found = (
            load(data.workspace.read_file("runs", run, "model", f"{name}.safetensors")) for run in ("launch-alone", together)
        )
        for key, tensor in expected.items():
            torch.testing.assert_close(found[key], tensor, atol=2e-4, rtol=1e-3)


@pytest.mark.slow
def test_a_stop_reaches_both_which_save_their_step_and_leave_nothing_behind(data):
    recipe = RECIPE.model_copy(update={"steps": 5000, "checkpoint_every": 5000, "seed": 5})
    begun, alive = threading.Event(), []

    def interrupt(progress):
        alive.extend(children(data.workspace))
        begun.set()

    class AskedToStopError(Exception):
        pass

    failure = []

    def run():
        try:
            CoEmoGen("coemogen", recipe).train(data, interrupt, TWO)
        except TrainingStoppedError as error:
            failure.append(error)

    with pytest.raises(AskedToStopError), stops_with_this_block():  # noqa: PT012  the block is what is tested
        thread = _in_this_context(run)
        assert begun.wait(600)
        raise AskedToStopError
    thread.join(600)
    assert len(failure) == 1
    assert alive
    run_id = training_run_id(data.workspace, data.dataset, data.feature_id, data.models, recipe)
    (checkpoint,) = [name for name in data.workspace.list_files("runs", run_id, "checkpoints") if name.endswith(".safetensors")]
    assert checkpoint != "step-005000.safetensors"
    assert children(data.workspace) == []


@pytest.mark.slow
def test_a_failure_says_what_the_processes_said(data):
    broken = TrainingData(data.workspace, "nowhere", data.feature_id, data.models)
    with pytest.raises(LaunchError, match=r"2 processes failed: FileNotFoundError: no .*features"):
        train_in_processes(CHILD, CoEmoGen("coemogen", RECIPE).job(broken), TWO)


def test_the_command_is_accelerates(tmp_path):
    assert not LaunchSettings().is_wanted
    assert TWO.command(CHILD, "{}")[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    file = tmp_path / "two-nodes.yaml"
    with pytest.raises(ValidationError, match=r"two-nodes.yaml does not exist on this machine: write it by `accelerate config"):
        LaunchSettings(config_file=str(file))
    file.touch()
    nodes = LaunchSettings(config_file=str(file))
    assert nodes.is_wanted
    assert str(file) in nodes.command(CHILD, "{}")


def _in_this_context(function):
    import contextvars

    thread = threading.Thread(target=contextvars.copy_context().run, args=(function,))
    thread.start()
    return thread


def test_processes_are_started_within_the_slot_and_never_for_a_finished_training(data, slot, monkeypatch):
    recipe = RECIPE.model_copy(update={"steps": 1, "seed": 11})
    method = CoEmoGen("coemogen", recipe)
    monkeypatch.setattr(
        coemogen, "train_in_processes", slot.watch(lambda *_: train(data.workspace, data.dataset, data.feature_id, data.models, recipe))
    )
    assert [method.train(data, launch=TWO, slot=slot).reused for _ in range(2)] == [False, True]
    assert (slot.seen, slot.entered) == ([True], 1)


def test_every_process_of_this_machine_takes_a_device(tmp_path):
    method, baseline = CoEmoGen("coemogen", RECIPE), PlainDiffusion("sd")
    assert method.training_devices() == ("cpu", 1)
    assert method.training_devices(TWO) == ("cpu", 2)
    assert baseline.training_devices(TWO) == ("auto", 1)
    file = tmp_path / "two-nodes.yaml"
    file.write_text("num_machines: 2\nnum_processes: 16\n")
    assert method.training_devices(LaunchSettings(config_file=str(file))) == ("cpu", 8)
