"""The stages of a flow: one task a part, a progress bar, one line when a stage is done, and its time on record."""

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from prefect import Task, get_run_logger
from prefect.futures import as_completed
from prefect.runtime import deployment, flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from rich.markup import escape

from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.stopping import stops_with_this_block
from flows.artifacts import StageProgress, publish_table
from flows.execution import Execution, RayExecution, ThreadExecution
from flows.ray_cluster import part_resources, ray_cluster
from schemas.outcomes import CorpusOutcome, PartOutcome, RecaptionOutcome, RunOutcome, StageOutcome
from tasks.progress import console, progress_bar

Outcome = TypeVar("Outcome", CorpusOutcome, RecaptionOutcome, RunOutcome)
THREADS = ThreadExecution()
FLOWS = ("build-emoset", "build-emoart", "recaption", "train-and-eval")


class Stages:
    """Runs and records the stages of one flow run. A Ray cluster, where that is wanted, is there as long as the `with` block."""

    def __init__(self, flow: str, workspace_uri: str, execution: Execution = THREADS) -> None:
        _refuse_relative_workspace(workspace_uri)
        self._flow, self._workspace, self._execution = flow, Workspace(workspace_uri), execution
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
        """Run a task for every part (its parameter `part`), all other arguments being the same, and wait for all.

        Every part gets its turn even when another one fails; then the first failure is raised. With `at_once`, so many run side by side,
        on threads of their own: for tasks that wait for servers, never for torch work (see `on_worker`). On a Ray cluster as many run side
        by side as it has room for.
        """
        return self.each(stage, task, [{"part": part} for part in parts], at_once, **arguments)

    def each(
        self, stage: str, task: Task[..., PartOutcome], varying: Sequence[dict[str, Any]], at_once: int = 1, **arguments: Any
    ) -> list[PartOutcome]:
        """Like `each_part`, for tasks that differ in more than the part."""
        started = time.monotonic()
        calls = [arguments | each for each in varying]
        if isinstance(self._execution, RayExecution):
            runner = self._cluster_of(self._execution)
            with part_resources(self._execution):
                outcomes = self._results(stage, [runner.submit(task, parameters=call) for call in calls])
        elif at_once == 1:
            outcomes = self._results(stage, [task.submit(**call) for call in calls])
        else:
            with ThreadPoolTaskRunner(max_workers=at_once) as runner:
                outcomes = self._results(stage, [runner.submit(task, parameters=call) for call in calls])
        self.record(stage, outcomes, time.monotonic() - started)
        return outcomes

    def _cluster_of(self, settings: RayExecution) -> Any:
        """The flow's one cluster, started with its first mapped stage."""
        if self._cluster is None:
            self._cluster = self._open.enter_context(ray_cluster(settings))
        return self._cluster

    def _results(self, stage: str, futures: list[Any]) -> list[PartOutcome]:
        progress = StageProgress(self._flow, stage, len(futures))
        with progress_bar(f"{self._flow}: {stage}", len(futures)) as bar:
            for future in as_completed(futures):
                future.wait()
                bar.advance()
                progress.advance()
        return [future.result() for future in futures]

    def record(self, stage: str, parts: Iterable[PartOutcome], seconds: float) -> None:
        """Add up a stage, say it in one line, and keep its time unless nothing was computed."""
        outcome = StageOutcome.of(f"{self._flow}/{stage}", parts, seconds)
        self.outcomes.append(outcome)
        line = describe(outcome)
        get_run_logger().info(line)
        console.print(f"[green]✓[/green] {escape(line)}", highlight=False)
        if not outcome.recomputed_nothing:
            record = {"outcome": outcome.model_dump(mode="json"), "order": [FLOWS.index(self._flow), len(self.outcomes)]}
            self._workspace.write_json(record, "timings", self._flow, f"{stage}.json")

    def completed(self, outcome: Outcome) -> Outcome:
        """Keep what the flow run made, `outcomes/<flow>/<flow run>.json`, and show its stages; returns it."""
        self._workspace.write_file(outcome.model_dump_json(indent=2).encode(), "outcomes", self._flow, f"{flow_run.id}.json")
        columns = ("stage", "parts", "reused_parts", "rows", "dropped", "seconds")
        rows = [{name: getattr(stage, name) for name in columns} for stage in self.outcomes]
        publish_table(f"stages-{self._flow}", [{**row, "seconds": round(row["seconds"], 1)} for row in rows])
        return outcome

    def remark(self, text: str) -> None:
        """Say in a line what a stage found."""
        get_run_logger().info(text)
        console.print(f"  {escape(text)}", highlight=False)

    @property
    def recomputed_nothing(self) -> bool:
        """Whether every part of every stage was there already."""
        return all(outcome.recomputed_nothing for outcome in self.outcomes)


def _refuse_relative_workspace(uri: str) -> None:
    """A worker runs deployments in a temporary folder, which would take the tables with it."""
    if deployment.id is not None and "://" not in uri and not Path(uri).is_absolute():
        raise ValueError(f"workspace {uri!r} is relative, and a deployment runs in a temporary folder: give an absolute path or a URI")


def on_worker(task: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run one task on the flow's worker thread and wait for it.

    All torch work of a flow belongs on that one thread: every thread that has computed keeps a pool of OpenMP threads, and with more of
    them than cores libgomp puts its threads to sleep between kernels, which halves the speed of a small model's training.

    When the flow is interrupted meanwhile (Prefect's own answer to SIGTERM, Ctrl-C), a training on that thread saves its step and stops.
    """
    with stops_with_this_block():
        return task.submit(*args, **kwargs).result()


def describe(outcome: StageOutcome) -> str:
    """One line: stage, parts, rows, what was dropped or reused, time."""
    facts = [f"{outcome.rows:,} rows in {outcome.parts} part{'s' if outcome.parts != 1 else ''}"]
    if outcome.dropped:
        facts.append(f"{outcome.dropped:,} dropped")
    if outcome.recomputed_nothing:
        facts.append("nothing to do")
    elif outcome.reused_parts:
        facts.append(f"{outcome.reused_parts} reused")
    return f"{outcome.stage:<24} {', '.join(facts)} ({outcome.seconds:.1f} s)"


def read_timings(workspace: Workspace) -> dict[str, float]:
    """Seconds that each stage took when it last computed something, by `<flow>/<stage>`, in running order."""
    outcomes = {}
    for flow in FLOWS:
        for name in workspace.list_files("timings", flow):
            record = workspace.read_json("timings", flow, name)
            outcomes[record["outcome"]["stage"]] = (record["order"], record["outcome"]["seconds"])
    return {stage: seconds for stage, (_, seconds) in sorted(outcomes.items(), key=lambda item: item[1][0])}
