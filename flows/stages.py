"""The stages of a flow: one task a part, on the worker thread or a cluster, and what became of each."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from prefect import Task
from prefect.task_runners import ThreadPoolTaskRunner

from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.stopping import stops_with_this_block
from flows.artifacts import publish_stages
from flows.deployed_run import refuse_relative_workspace
from flows.execution import Execution, RayExecution, ThreadExecution, part_resources, parts_side_by_side, ray_cluster
from flows.outcomes import Outcome, describe, keep_outcome, keep_timing
from flows.progress import say, stage_progress
from flows.waves import flow_runner, run_in_waves
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

    def each_part(self, stage: str, task: Task[..., PartOutcome], parts: Sequence[str], at_once: int = 1, **arguments: Any) -> StageOutcome:
        """Run a task for every part of the workspace (its parameters `part`, `workspace_uri`), all others being the same; wait for all.

        Every part gets its turn even when another one fails; then the first failure is raised. With `at_once`, so many run side by side,
        on threads of their own: for tasks that wait for servers, never for torch work (see `on_worker`). On a Ray cluster as many run side
        by side as it has room for. Parts are handed out in waves: memory, and what Prefect has in hand, do not grow with their number.
        """
        return self._each(stage, task, ({"part": part} | arguments for part in parts), len(parts), at_once)

    def each(
        self, stage: str, task: Task[..., PartOutcome], varying: Sequence[dict[str, Any]], at_once: int = 1, **arguments: Any
    ) -> StageOutcome:
        """Like `each_part`, for tasks that differ in more than the part."""
        return self._each(stage, task, (arguments | each for each in varying), len(varying), at_once)

    def _each(self, stage: str, task: Task[..., PartOutcome], calls: Iterable[dict[str, Any]], total: int, at_once: int) -> StageOutcome:
        located = ({"workspace_uri": self.workspace.uri} | call for call in calls)
        with self._recorded(stage) as add, stage_progress(self._flow, stage, total) as advance, self._runner(at_once) as (runner, workers):
            run_in_waves(runner, task, located, workers, add, advance)
        return self.outcomes[-1]

    @contextmanager
    def _runner(self, at_once: int) -> Iterator[tuple[Any, Callable[[], int]]]:
        """What runs the parts of a stage, and how many side by side."""
        if isinstance(self._execution, RayExecution):
            settings, cluster = self._execution, self._cluster_of(self._execution)
            with part_resources(settings):
                yield cluster, lambda: parts_side_by_side(settings)
        elif at_once == 1:
            yield flow_runner(), lambda: 1
        else:
            with ThreadPoolTaskRunner(max_workers=at_once) as runner:
                yield runner, lambda: at_once

    def _cluster_of(self, settings: RayExecution) -> Any:
        """The flow's one cluster, started with its first mapped stage."""
        if self._cluster is None:
            self._cluster = self._open.enter_context(ray_cluster(settings))
        return self._cluster

    @contextmanager
    def stage(self, name: str) -> Iterator[list[PartOutcome]]:
        """A stage: what is done in the block. It puts its parts into the list; they are added up, said in one line, and timed."""
        with self._recorded(name) as add:
            parts = list[PartOutcome]()
            yield parts
            for part in parts:
                add(part)

    @contextmanager
    def _recorded(self, name: str) -> Iterator[Callable[[PartOutcome], None]]:
        """A stage whose parts are added up as they come, and let go."""
        started, outcome = time.monotonic(), StageOutcome.without_parts(f"{self._flow}/{name}")

        def add(part: PartOutcome) -> None:
            nonlocal outcome
            outcome = outcome.plus(part)

        yield add
        outcome = outcome.model_copy(update={"seconds": time.monotonic() - started})
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
