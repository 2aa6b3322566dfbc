"""Where the work of a stage runs."""

import threading
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from flows.stages import Stages, on_worker
from schemas.outcomes import PartOutcome


@task
def compute(part: str, workspace_uri: str = "") -> PartOutcome:
    """A part whose name is the thread it was made in."""
    return PartOutcome(part=str(threading.get_ident()), rows=len(part))


def test_a_relative_workspace_is_refused_where_a_worker_runs_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    Stages("build-emoset", "my-workspace", "emoset")
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "6f6d7f0e-0000-4000-8000-000000000000")
    with pytest.raises(ValueError, match=r"'my-workspace' is relative.*absolute path or a URI"):
        Stages("build-emoset", "my-workspace", "emoset")
    Stages("build-emoset", "memory://workspace", "emoset")
    Stages("build-emoset", "/data/workspace", "emoset")


@pytest.mark.usefixtures("prefect_server")
def test_parts_and_single_tasks_share_one_thread_that_is_not_the_flows(tmp_path: Path) -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def run() -> set[str]:
        stages = Stages("train-and-eval", str(tmp_path), "emoset")
        before = stages.each_part("features", compute, ["a", "b"])
        return {outcome.part for outcome in [*before, on_worker(compute, "c"), *stages.each_part("generate", compute, ["d"])]}

    threads = run()
    assert len(threads) == 1
    assert threads != {str(threading.get_ident())}
