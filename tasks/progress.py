"""Progress on a terminal: one bar a stage, shared by all tasks of this process. Where nobody looks, nothing is drawn."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)
_lock = threading.Lock()
_progress: Progress | None = None


class Bar:
    """One bar; without a terminal it only counts."""

    def __init__(self, progress: Progress, description: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def advance(self, count: int = 1) -> None:
        """Move on by some units."""
        self._progress.advance(self._task, count)

    def move_to(self, done: int, note: str = "") -> None:
        """Set the number of finished units, and a note behind the bar."""
        self._progress.update(self._task, completed=done, note=note)

    def remove(self) -> None:
        """Take the bar away."""
        self._progress.remove_task(self._task)


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Bar]:
    """A bar that lives as long as the block."""
    with _lock:
        progress = _shared_progress()
        bar = Bar(progress, description, total)
    try:
        yield bar
    finally:
        with _lock:
            bar.remove()
            if not progress.tasks:
                _end()


def _shared_progress() -> Progress:
    global _progress  # one live display a process: rich allows no more
    if _progress is None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        _progress = Progress(*columns, TextColumn("{task.fields[note]}"), console=console, transient=True, disable=not console.is_terminal)
        _progress.start()
    return _progress


def _end() -> None:
    global _progress
    if _progress is not None:
        _progress.stop()
        _progress = None
