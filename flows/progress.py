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
    show_in_artifact = _artifact_updater(as_key(f"progress-{flow}-{stage}"), f"{flow}: {stage}", total)
    with Progress(*COLUMNS, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(f"{flow}: {stage}", total=total)

        def advance() -> None:
            bars.advance(bar)
            show_in_artifact()

        yield advance


def _artifact_updater(key: str, description: str, total: int) -> Callable[[], None]:
    """What to call after each part: a progress artifact is made and brought up to date every few seconds."""
    artifact: Any = None
    done, said = 0, time.monotonic()

    def advance() -> None:
        nonlocal artifact, done, said
        done += 1
        if time.monotonic() - said < UPDATE_S and (artifact is None or done < total):
            return
        said, share = time.monotonic(), 100 * done / total
        if artifact is None:
            artifact = create_progress_artifact(progress=share, key=key, description=description)
        else:
            update_progress_artifact(artifact_id=artifact, progress=share)

    return advance
