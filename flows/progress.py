"""What a flow says while it runs: lines and a bar on the terminal, the same lines in the run's log, and a progress artifact."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from flows.artifacts import as_key

UPDATE_S = 5.0
COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
console = Console(stderr=True)


def say(line: str, mark: str = " ") -> None:
    """A line of a flow run, in its log and, after a mark in rich's markup, on the terminal."""
    get_run_logger().info(line)
    console.print(f"{mark} {escape(line)}", highlight=False)


@contextmanager
def stage_progress(flow: str, stage: str, total: int) -> Iterator[Callable[[], None]]:
    """Progress of a stage for as long as the block lasts: a bar where somebody looks, and an artifact; yields what to call after a part."""
    artifact = ProgressArtifact(flow, stage, total)
    with Progress(*COLUMNS, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(f"{flow}: {stage}", total=total)

        def advance() -> None:
            bars.advance(bar)
            artifact.advance()

        yield advance


class ProgressArtifact:
    """A progress artifact for a stage that takes a while, brought up to date every few seconds."""

    def __init__(self, flow: str, stage: str, total: int) -> None:
        self._key, self._description, self._total = as_key(f"progress-{flow}-{stage}"), f"{flow}: {stage}", total
        self._done, self._said = 0, time.monotonic()
        self._artifact: Any = None

    def advance(self) -> None:
        """One part more is done."""
        self._done += 1
        if time.monotonic() - self._said < UPDATE_S and (self._artifact is None or self._done < self._total):
            return
        self._said, share = time.monotonic(), 100 * self._done / self._total
        if self._artifact is None:
            self._artifact = create_progress_artifact(progress=share, key=self._key, description=self._description)
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=share)
