"""Processes that outlive the command that started them: a list on disk of what was started, and an end to exactly that."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import Field

from schemas.frozen_model import FrozenModel

FILE = "processes.json"
GRACE_S = 60.0  # a training that is told to stop finishes its step and saves it
SAME_START_S = 1.0  # clocks of the system's boot are rounded


class StartedProcess(FrozenModel):
    """One process of the list. A process id is given again to others; together with the time of its start it is not."""

    name: str = Field(description="what it is, e.g. server")
    pid: int = Field(ge=1, description="its process id")
    started: float = Field(description="when it was started, seconds since 1970")

    def find(self) -> psutil.Process | None:
        """The running process; None when it has ended, or its id belongs to another one."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < SAME_START_S
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class ProcessList:
    """The list in one folder; logs lie beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> list[StartedProcess]:
        """What was started and not stopped, running or not.

        Raises:
            ValueError: the list is damaged.
        """
        file = self._folder / FILE
        if not file.exists():
            return []
        try:
            return [StartedProcess.model_validate(each) for each in json.loads(file.read_text())]
        except ValueError as error:
            raise ValueError(f"{file} cannot be read: end the processes it names by hand and remove it ({error})") from error

    def running(self, name: str) -> StartedProcess | None:
        """The process of this name, where it runs."""
        return next((each for each in self.read() if each.name == name and each.find() is not None), None)

    def log(self, name: str) -> Path:
        """What a process writes."""
        return self._folder / "logs" / f"{name}.log"

    def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> StartedProcess:
        """Start a process in a session of its own and note it; one of that name that runs already is left as it is."""
        found = self.running(name)
        if found is not None:
            return found
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=dict(variables), start_new_session=True
            )
        entry = StartedProcess(name=name, pid=child.pid, started=psutil.Process(child.pid).create_time())
        self._write([*(each for each in self.read() if each.name != name), entry])
        return entry

    def stop_all(self) -> list[str]:
        """End what was started, last first, each with everything that it has started; returns the names of those that still ran."""
        ended = []
        for entry in reversed(self.read()):
            process = entry.find()
            if process is not None:
                end_with_children(process)
                ended.append(entry.name)
            self._write([each for each in self.read() if each != entry])
        return ended

    def _write(self, entries: list[StartedProcess]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{FILE}.tmp"
        partial.write_text(json.dumps([each.model_dump() for each in entries], indent=2) + "\n")
        partial.replace(self._folder / FILE)


def end_with_children(process: psutil.Process, grace_s: float = GRACE_S) -> None:
    """SIGTERM to a process and to all that it has started, SIGKILL to what is left after the grace period."""
    family = [process, *process.children(recursive=True)]
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, left = psutil.wait_procs(family, timeout=grace_s)
    for each in left:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(left, timeout=grace_s)
