"""Stopped, killed, asked to end by a signal or by the thread that started it: a resumed training ends at the same bits."""

import random
import signal
import threading
import time
from contextvars import copy_context
from pathlib import Path

import pytest
import torch
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.settings import PREFECT_API_URL
from safetensors.torch import load

from coemogen_core.training.checkpoint import CheckpointFolder
from coemogen_core.training.loss_log import read_log
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train
from coemogen_core.training.stopping import TrainingStoppedError, listens_to_sigterm, stops_with_this_block
from coemogen_core.training.trainer import Progress
from tests.coemogen_core.training.new_trainer import new_trainer
from tests.coemogen_core.training.training_process import start_training

RECIPE = TrainingRecipe(
    steps=8, batch_size=4, checkpoint_every=3, log_every=3, warmup_steps=2, ema_decay=0.5, condition_dropout=0.3, device="cpu"
)
TIMES = ("seconds_per_step",)
DEADLINE_S = 600  # of what takes seconds


@pytest.fixture(scope="module")
def uninterrupted(corpus, cached, models) -> str:
    train(corpus, "emoset", cached, models, RECIPE, run_id="uninterrupted")
    return "uninterrupted"


def same_model_and_log(workspace, run: str, other: str) -> bool:
    """Whether two runs have saved the same bits, and the same log but for its times."""
    for name in ("hilora", "conditioner", "clusters"):
        first, second = (load(workspace.read_file("runs", one, "model", f"{name}.safetensors")) for one in (run, other))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name
    logs = [[{key: value for key, value in line.items() if key not in TIMES} for line in read_log(workspace, one)] for one in (run, other)]
    assert logs[0] == logs[1]
    return True


@pytest.mark.parametrize("stops", [[1, 2, 4], [5, 6, 7]])
def test_any_stop_and_resume_gives_the_same_bits_and_the_same_log(corpus, cached, models, features, uninterrupted, stops):
    run = "stops-" + "-".join(map(str, stops))
    for stop in stops:
        new_trainer(corpus, run, models, features, RECIPE).train(stop_at=stop)
        assert CheckpointFolder(corpus, run, 2).steps()[-1] == stop
    train(corpus, "emoset", cached, models, RECIPE, run_id=run)
    assert same_model_and_log(corpus, run, uninterrupted)


def test_sigterm_saves_the_step_and_then_goes_to_whoever_listened_before(corpus, cached, models, uninterrupted, caplog):
    heard: list[int] = []

    def before(number, _frame):
        heard.append(CheckpointFolder(corpus, "sigterm", 2).steps()[-1])

    old = signal.signal(signal.SIGTERM, before)
    try:
        with pytest.raises(TrainingStoppedError, match="stopped as asked after step 3 of 8"):
            train(corpus, "emoset", cached, models, RECIPE, run_id="sigterm", on_progress=lambda _: signal.raise_signal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, old)
    assert heard == [3]
    assert "the same command goes on" in caplog.text
    train(corpus, "emoset", cached, models, RECIPE, run_id="sigterm")
    assert same_model_and_log(corpus, "sigterm", uninterrupted)


def test_a_handler_that_raises_is_not_lost(corpus):
    """As Prefect's does."""

    class TerminationSignal(BaseException):
        pass

    def prefects(_number, _frame):
        raise TerminationSignal

    def be_stopped():
        with listens_to_sigterm() as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop.is_set()
            raise TrainingStoppedError

    old = signal.signal(signal.SIGTERM, prefects)
    try:
        with pytest.raises(TerminationSignal):
            be_stopped()
        with pytest.raises(TerminationSignal):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, old)


def test_an_ignored_sigterm_stays_ignored():
    old = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with listens_to_sigterm() as stop:
            signal.raise_signal(signal.SIGTERM)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGTERM, old)


def test_a_training_on_another_thread_stops_with_the_block_that_started_it(corpus, cached, models, uninterrupted):
    """The way of a flow: the signal interrupts its main thread, the training runs on its worker."""
    started, failures = threading.Event(), []

    def on_progress(progress: Progress) -> None:
        started.set()
        gone_on.wait(DEADLINE_S)

    def work() -> None:
        try:
            train(corpus, "emoset", cached, models, RECIPE, run_id="thread", on_progress=on_progress)
        except TrainingStoppedError as error:
            failures.append(str(error))

    def be_interrupted() -> None:
        with stops_with_this_block():
            thread = threading.Thread(target=copy_context().run, args=(work,))
            threads.append(thread)
            thread.start()
            assert started.wait(DEADLINE_S)
            raise KeyboardInterrupt

    gone_on, threads = threading.Event(), []
    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    gone_on.set()
    threads[0].join(DEADLINE_S)
    assert failures == ["thread: stopped as asked after step 3 of 8; its checkpoint is written, and the same command goes on from there"]
    train(corpus, "emoset", cached, models, RECIPE, run_id="thread")
    assert same_model_and_log(corpus, "thread", uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ended_by_a_signal_goes_on_to_the_same_bits(corpus, cached, models, number):
    recipe = RECIPE.model_copy(update={"log_every": 1, "checkpoint_every": 2})
    undisturbed, run = f"undisturbed-{number.name}", f"ended-by-{number.name}"
    train(corpus, "emoset", cached, models, recipe, run_id=undisturbed)
    process = start_training(corpus, cached, models, recipe, run, waits=True)
    assert process.stdout is not None
    assert process.stdin is not None
    for _ in range(random.SystemRandom().randrange(1, RECIPE.steps - 1)):  # a moment of its own in every test run
        assert process.stdout.readline().startswith("step"), process.communicate()[1]
        process.stdin.write("\n")
        process.stdin.flush()
    process.send_signal(number)  # somewhere in the next step, behind which it waits
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -number
    steps = CheckpointFolder(corpus, run, 2).steps()
    assert not corpus.exists("runs", run, "model", "config.json")
    if number == signal.SIGTERM:
        assert f"stopped as asked after step {steps[-1]} of {RECIPE.steps}" in said
    train(corpus, "emoset", cached, models, recipe, run_id=run)
    assert same_model_and_log(corpus, run, undisturbed)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_flow_that_gets_sigterm_leaves_a_checkpoint_and_prefect_knows(corpus, cached, models):
    recipe = RECIPE.model_copy(update={"steps": 400, "checkpoint_every": 400, "log_every": 5})
    process = start_training(corpus, cached, models, recipe, "in-a-flow", flow=True, PREFECT_API_URL=PREFECT_API_URL.value())
    folder = Path(corpus.uri) / "runs" / "in-a-flow" / "tensorboard"
    while not any(file.stat().st_size > 500 for file in folder.glob("events*")):  # an interval is logged
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == -signal.SIGTERM
    (step,) = CheckpointFolder(corpus, "in-a-flow", 2).steps()
    assert 5 <= step < 400
    assert f"stopped as asked after step {step} of 400" in said
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["train-alone"])))
    assert run.state is not None
    assert run.state.is_crashed()
