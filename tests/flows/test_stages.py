"""Where the work of a stage runs."""

import ast
import threading
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

import flows
import tasks
from flows.stages import Stages, on_worker
from schemas.outcomes import PartOutcome


@task
def compute(part: str, workspace_uri: str = "") -> PartOutcome:
    """A part whose name is the thread it was made in."""
    return PartOutcome(part=str(threading.get_ident()), rows=len(part))


def test_a_relative_workspace_is_refused_where_a_worker_runs_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    Stages("build-emoset", "my-workspace")
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "6f6d7f0e-0000-4000-8000-000000000000")
    with pytest.raises(ValueError, match=r"'my-workspace' is relative.*absolute path or a URI"):
        Stages("build-emoset", "my-workspace")
    Stages("build-emoset", "memory://workspace")
    Stages("build-emoset", "/data/workspace")


@pytest.mark.usefixtures("prefect_server")
def test_parts_and_single_tasks_share_one_thread_that_is_not_the_flows(tmp_path: Path) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> set[str]:
        stages = Stages("train-and-eval", str(tmp_path))
        before = stages.each_part("features", compute, ["a", "b"])
        return {outcome.part for outcome in [*before, on_worker(compute, "c"), *stages.each_part("generate", compute, ["d"])]}

    threads = run()
    assert len(threads) == 1
    assert threads != {str(threading.get_ident())}


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
