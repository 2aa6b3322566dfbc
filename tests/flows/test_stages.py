"""Where the work of a stage runs, and how much of it is in hand at once."""

import ast
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture
from prefect.task_runners import ThreadPoolTaskRunner

import flows
import tasks
from flows import stages as stages_module
from flows import waves
from flows.stages import Stages, on_worker
from flows.waves import AHEAD
from schemas.outcomes import PartOutcome

MANY = [f"part-{number:05d}" for number in range(30)]


@task
def compute(part: str, threads: list[int], workspace_uri: str = "") -> PartOutcome:
    """A part that leaves the thread it was made in."""
    threads.append(threading.get_ident())
    return PartOutcome(part=part, rows=len(part))


@task
def count_futures(part: str, most: list[int], workspace_uri: str) -> PartOutcome:
    """A part that leaves the number of task runs that were submitted and are not done."""
    futures = [each for each in gc.get_objects() if type(each) is PrefectConcurrentFuture]
    most.append(sum(not each.wrapped_future.done() for each in futures))
    return PartOutcome(part=part, rows=2, dropped=1, reused=part == MANY[0])


@task
def fail_out_of_order(part: str, failed_last: threading.Event, done: list[str], workspace_uri: str) -> PartOutcome:
    """The first and the last part fail, the last one first."""
    done.append(part)
    if part == MANY[0]:
        failed_last.wait(timeout=60)
        raise ValueError(f"{part} is broken")
    if part == MANY[-1]:
        failed_last.set()
        raise ValueError(f"{part} is broken")
    return PartOutcome(part=part, rows=1)


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Of every bar of progress, its total and how far it came."""
    found: list[list[int]] = []

    @contextmanager
    def stage_progress(_flow: str, _stage: str, total: int) -> Iterator[object]:
        bar = [total, 0]
        found.append(bar)

        def advance() -> None:
            bar[1] += 1

        yield advance

    monkeypatch.setattr(stages_module, "stage_progress", stage_progress)
    return found


def test_a_relative_workspace_is_refused_where_a_worker_runs_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    Stages("build-emoset", "my-workspace", "emoset")
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "6f6d7f0e-0000-4000-8000-000000000000")
    with pytest.raises(ValueError, match=r"'my-workspace' is relative.*absolute path or a URI"):
        Stages("build-emoset", "my-workspace", "emoset")
    Stages("build-emoset", "memory://workspace", "emoset")
    Stages("build-emoset", "/data/workspace", "emoset")


@pytest.mark.usefixtures("prefect_server")
def test_parts_and_single_tasks_share_one_thread_that_is_not_the_flows(tmp_path: Path) -> None:
    threads: list[int] = []

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> None:
        stages = Stages("train-and-eval", str(tmp_path), "emoset")
        stages.each_part("features", compute, ["a", "b"], threads=threads)
        on_worker(compute, "c", threads)
        stages.each_part("generate", compute, ["d"], threads=threads)

    run()
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("at_once", [1, 2])
def test_parts_are_in_hand_a_few_for_each_worker_and_add_up(tmp_path: Path, bars: list[list[int]], at_once: int) -> None:
    most: list[int] = []

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> None:
        stages = Stages("build-emoset", str(tmp_path), "emoset")
        outcome = stages.each_part("ingest", count_futures, MANY, at_once=at_once, most=most)
        assert (outcome.parts, outcome.reused_parts, outcome.rows, outcome.dropped) == (len(MANY), 1, 2 * len(MANY), len(MANY))
        assert stages.outcomes == [outcome]

    run()
    assert len(most) == len(MANY)
    assert max(most) <= AHEAD * at_once < len(MANY)
    assert bars == [[len(MANY), len(MANY)]]


def until_true(ask: Callable[[], bool], patience_s: float = 120) -> bool:
    """Whether it becomes true."""
    end = time.monotonic() + patience_s
    while not ask():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def books() -> list[int]:
    """How many entries Prefect has on the task runs of this flow."""
    context = FlowRunContext.get()
    assert context is not None
    return [len(context.run_results), len(context.task_run_assets), len(context.task_runner._cancel_events)]


@task
def note_books(part: str, kept: list[list[int]], workspace_uri: str) -> PartOutcome:
    """A part that leaves what Prefect has on all parts up to it."""
    kept.append(books())
    return PartOutcome(part=part, rows=1000)


@pytest.mark.usefixtures("prefect_server")
def test_prefect_keeps_nothing_of_a_part_that_is_done(tmp_path: Path) -> None:
    kept: list[list[int]] = []

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> list[int]:
        Stages("build-emoset", str(tmp_path), "emoset").each_part("ingest", note_books, MANY, kept=kept)
        return books()

    assert run() == [0, 0, 0]
    assert len(kept) == len(MANY)
    assert all(length < len(MANY) for lengths in kept for length in lengths)


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_waits_for_a_server_that_falls_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked after every tenth part: the first time it has written it down at the third look, then at once."""
    monkeypatch.setattr(waves, "CATCH_UP_EVERY", 10)
    monkeypatch.setattr(waves, "LOOK_AGAIN_S", 0.0)
    looks: list[int] = []
    threads: list[int] = []
    is_recorded = waves._is_recorded

    def look(client: object, task_run_id: UUID) -> bool:
        looks.append(len(threads))
        return len(looks) > 2 and until_true(lambda: is_recorded(client, task_run_id))

    monkeypatch.setattr(waves, "_is_recorded", look)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> None:
        Stages("build-emoset", str(tmp_path), "emoset").each_part("ingest", compute, MANY, threads=threads)

    run()
    assert len(threads) == len(MANY)
    assert len(looks) == 2 + len(MANY) // 10
    assert looks[2] < 10 + AHEAD  # while it waits, no more than the parts in hand go on


@pytest.mark.usefixtures("prefect_server")
def test_a_server_that_does_not_catch_up_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "CATCH_UP_EVERY", 10)
    monkeypatch.setattr(waves, "CATCH_UP_S", 0.0)
    looks: list[UUID] = []
    monkeypatch.setattr(waves, "_is_recorded", lambda _client, task_run_id: looks.append(task_run_id))

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> int:
        return Stages("build-emoset", str(tmp_path), "emoset").each_part("ingest", compute, MANY, threads=[]).parts

    assert run() == len(MANY)
    assert len(set(looks)) == 1


@pytest.mark.usefixtures("prefect_server")
def test_a_part_is_still_drawn_below_the_task_that_named_it(tmp_path: Path) -> None:
    inputs: list[set[str]] = []

    @task
    def name_parts() -> list[str]:
        return ["a part", "another"]

    @task
    def note_inputs(part: str, workspace_uri: str) -> PartOutcome:
        from prefect.context import TaskRunContext

        context = TaskRunContext.get()
        assert context is not None
        inputs.append({each.input_type for each in context.task_run.task_inputs["part"]})
        return PartOutcome(part=part, rows=1)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> None:
        Stages("build-emoset", str(tmp_path), "emoset").each_part("ingest", note_inputs, name_parts())

    run()
    assert inputs == [{"task_run"}] * 2


@pytest.mark.usefixtures("prefect_server")
def test_every_part_has_its_turn_and_the_first_failure_in_their_order_is_raised(tmp_path: Path, bars: list[list[int]]) -> None:
    done: list[str] = []

    @flow
    def run() -> None:
        stages = Stages("build-emoset", str(tmp_path), "emoset")
        stages.each_part("caption", fail_out_of_order, MANY, at_once=2, failed_last=threading.Event(), done=done)

    with pytest.raises(ValueError, match=f"{MANY[0]} is broken"):
        run()
    assert sorted(done) == MANY
    assert bars == [[len(MANY), len(MANY)]]


def test_tasks_that_compute_with_torch_are_left_to_that_thread() -> None:
    """Whatever takes a slot: no flow calls such a task itself, which would run it on the flow's own thread."""
    takes_slot = {
        node.name
        for file in Path(tasks.__file__).parent.glob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_task") and "slot=" in ast.unparse(node)
    }
    called = {
        f"{file.name}: {node.func.id}"
        for file in Path(flows.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in takes_slot
    }
    assert len(takes_slot) > 8
    assert called == set()
