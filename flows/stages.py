"""The stages of a flow: one task a part, on the worker thread or a cluster, and what became of each."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from prefect import Task
from prefect.futures import as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.stopping import stops_with_this_block
from flows.artifacts import publish_stages
from flows.deployed_run import refuse_relative_workspace
from flows.execution import Execution, RayExecution, ThreadExecution, part_resources, ray_cluster
from flows.outcomes import Outcome, describe, keep_outcome, keep_timing
from flows.progress import say, stage_progress
from schemas.outcomes import PartOutcome, StageOutcome

THREADS = ThreadExecution()


class Stages:
    """Runs and records the stages of a flow run over a dataset. A Ray cluster, where wanted, is there as long as the `with` block."""

    def __init__(self, flow: str, workspace_uri: str, dataset: str, execution: Execution = THREADS) -> None:
        refuse_relative_workspace(workspace_uri)
        self._flow, self.workspace, self._dataset, self._execution = flow, Workspace(workspace_uri), dataset, execution
        self._cluster: Any = None
        self._open = ExitStack()
        self.outcomes: list[StageOutcome] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def each_part(
        self, stage: str, task: Task[..., PartOutcome], parts: Sequence[str], at_once: int = 1, **arguments: Any
    ) -> list[PartOutcome]:
        """Run a task for every part of the workspace (its parameters `part`, `workspace_uri`), all others being the same; wait for all.

        Every part gets its turn even when another one fails; then the first failure is raised. With `at_once`, so many run side by side,
        on threads of their own: for tasks that wait for servers, never for torch work (see `on_worker`). On a Ray cluster as many run side
        by side as it has room for.
        """
        return self.each(stage, task, [{"part": part} for part in parts], at_once, **arguments)

    def each(
        self, stage: str, task: Task[..., PartOutcome], varying: Sequence[dict[str, Any]], at_once: int = 1, **arguments: Any
    ) -> list[PartOutcome]:
        """Like `each_part`, for tasks that differ in more than the part."""
        calls = [{"workspace_uri": self.workspace.uri} | arguments | each for each in varying]
        with self.stage(stage) as outcomes:
            if isinstance(self._execution, RayExecution):
                runner = self._cluster_of(self._execution)
                with part_resources(self._execution):
                    outcomes += self._results(stage, [runner.submit(task, parameters=call) for call in calls])
            elif at_once == 1:
                outcomes += self._results(stage, [task.submit(**call) for call in calls])
            else:
                with ThreadPoolTaskRunner(max_workers=at_once) as runner:
                    outcomes += self._results(stage, [runner.submit(task, parameters=call) for call in calls])
        return outcomes

    def _cluster_of(self, settings: RayExecution) -> Any:
        """The flow's one cluster, started with its first mapped stage."""
        if self._cluster is None:
            self._cluster = self._open.enter_context(ray_cluster(settings))
        return self._cluster

    def _results(self, stage: str, futures: list[Any]) -> list[PartOutcome]:
        with stage_progress(self._flow, stage, len(futures)) as advance:
            for future in as_completed(futures):
                future.wait()
                advance()
        return [future.result() for future in futures]

    @contextmanager
    def stage(self, name: str) -> Iterator[list[PartOutcome]]:
        """A stage: what is done in the block. It puts its parts into the list; they are added up, said in one line, and timed."""
        started, parts = time.monotonic(), list[PartOutcome]()
        yield parts
        outcome = StageOutcome.of(f"{self._flow}/{name}", parts, time.monotonic() - started)
        self.outcomes.append(outcome)
        say(describe(outcome), "[green]✓[/green]")
        keep_timing(self.workspace, self._dataset, outcome, len(self.outcomes))

    def completed(self, outcome: Outcome) -> Outcome:
        """Keep what the flow run made and show its stages; returns it."""
        publish_stages(self._flow, self.outcomes)
        return keep_outcome(self.workspace, self._flow, outcome)


def on_worker(task: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one task on the flow's worker thread and wait for it.

    All torch work of a flow belongs on that one thread: every thread that has computed keeps a pool of OpenMP threads, and with more of
    them than cores libgomp puts its threads to sleep between kernels, which halves the speed of a small model's training.

    When the flow is interrupted meanwhile (Prefect's own answer to SIGTERM, Ctrl-C), a training on that thread saves its step and stops.
    """
    with stops_with_this_block():
        return task.submit(*args, **kwargs).result()
