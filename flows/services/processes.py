"""Processes that outlive the command that started them: a list on disk of what was started, and an end to exactly that.

Nothing runs that is not listed: a process starts behind a gate, which opens when its entry is on disk and stays shut when the command that
holds it is killed before. Whoever changes the list holds the lock of its folder (`flows.services.turn`); readers need none.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pydantic import Field

from coemogen_core.storage.whole_file import NoRoomError, write_atomically
from flows.services.gate import behind_gate, is_behind_gate
from flows.services.turn import turn
from schemas.frozen_model import FrozenModel

FILE = "processes.json"
GRACE_S = 60.0  # a training that is told to stop finishes its step and saves it
POLL_S = 0.1
SAME_START_S = 1.0  # clocks of the system's boot are rounded
MARK = "COEMOGEN_SERVICE"


class StartedProcess(FrozenModel):
    """One process of the list. A process id is given again to others; together with the time of its start it is not."""

    name: str = Field(description="what it is, e.g. server")
    pid: int = Field(ge=1, description="its process id")
    started: float = Field(description="when it was started, seconds since 1970")
    mark: str = Field(default="", description=f"{MARK} in its environment, and in that of all it starts, by which those are found")
    ending: bool = Field(default=False, description="a stop has been asked for: never start it again, even if that stop was killed")

    def find(self) -> psutil.Process | None:
        """The running process; None when it has ended, or its id belongs to another one."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < SAME_START_S
            return process if is_same and _lives(process) else None
        except psutil.NoSuchProcess:
            return None

    def family(self) -> set[psutil.Process]:
        """The running process and all that it has started, those too that it has left behind; never this process."""
        found = set(psutil.process_iter(["environ"])) if self.mark else set()
        marked = {each for each in found if (each.info["environ"] or {}).get(MARK) == self.mark}
        if (process := self.find()) is not None:
            with suppress(psutil.NoSuchProcess):
                marked |= {process, *process.children(recursive=True)}
        return {each for each in marked if each.pid != os.getpid() and _lives(each)}


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
        try:
            return [StartedProcess.model_validate(each) for each in json.loads(file.read_text())]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise ValueError(f"{file} cannot be read: end the processes it names by hand and remove it ({error})") from error

    def running(self, name: str) -> StartedProcess | None:
        """The process of this name, where it runs."""
        return next((each for each in self.read() if each.name == name and each.find() is not None), None)

    def log(self, name: str) -> Path:
        """What a process writes."""
        return self._folder / "logs" / f"{name}.log"

    @contextmanager
    def changing(self, command: str, say: Callable[[str], None]) -> Iterator["LockedProcessList"]:
        """The list while nobody else changes it. What a command has started that is interrupted in the block is ended.

        Args:
            command: who changes it, as others are told who wait.
            say: takes one line when somebody else is at work.

        Raises:
            ServiceError: somebody else was at work all the time.
            ValueError: the list is damaged.
        """
        with turn(self._folder, command, say):
            processes = LockedProcessList(self._folder)
            processes.shut_gates()
            try:
                yield processes
            except Exception:
                raise
            except BaseException:  # Ctrl-C, SIGTERM
                processes.undo_starts()
                raise


class LockedProcessList(ProcessList):
    """The list in the hands of one command, which may change it (`ProcessList.changing`)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._started: list[StartedProcess] = []
        self._replaced: list[StartedProcess] = []

    def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> StartedProcess:
        """Note a process and start it in a session of its own; one of that name that runs already is left as it is."""
        found = self.running(name)
        if found is not None:
            return found
        dead = [each for each in self.read() if each.name == name]
        mark = next((each.mark for each in dead if each.mark), uuid.uuid4().hex)
        self.log(name).parent.mkdir(parents=True, exist_ok=True)
        with behind_gate(command, self.log(name), {**variables, MARK: mark}) as pid:
            entry = StartedProcess(name=name, pid=pid, started=psutil.Process(pid).create_time(), mark=mark)
            self._started.append(entry)
            self._replaced.extend(dead)
            self._write([*(each for each in self.read() if each not in dead), entry])
        return entry

    def stop_all(self) -> list[str]:
        """End what was started, last first, each with everything that it has started; returns the names of those that still ran."""
        with suppress(NoRoomError):  # then a stop that is killed is forgotten; services on a full disk must end all the same
            self._note_end(self.read())
        return self._end(self.read())

    def finish_stop(self) -> list[str]:
        """End what a stop has left that was killed itself; returns the names of those that still ran."""
        return self._end([each for each in self.read() if each.ending])

    def shut_gates(self) -> None:
        """End those that a killed command was about to start: they may begin at any moment, or never."""
        for entry in self.read():
            process = entry.find()
            if process is not None and is_behind_gate(process):
                process.kill()
                while entry.find() is not None:
                    time.sleep(POLL_S)

    def undo_starts(self) -> None:
        """End what was started here, and list again what had died before."""
        if self._started:
            self._end(self._note_end(self._started))
            self._write([*self._replaced, *self.read()])

    def _note_end(self, entries: list[StartedProcess]) -> list[StartedProcess]:
        ending = {each: each.model_copy(update={"ending": True}) for each in entries}
        self._write([ending.get(each, each) for each in self.read()])
        return list(ending.values())

    def _end(self, entries: list[StartedProcess]) -> list[str]:
        ended = [each.name for each in reversed(entries) if end_family(each)]
        self._write([each for each in self.read() if each not in entries])
        return ended

    def _write(self, entries: list[StartedProcess]) -> None:
        file = self._folder / FILE
        if entries:
            write_atomically(str(file.resolve()), json.dumps([each.model_dump() for each in entries], indent=2).encode() + b"\n")
        else:
            file.unlink(missing_ok=True)


def end_family(entry: StartedProcess, grace_s: float = GRACE_S) -> bool:
    """SIGTERM to a process and to all that it has started or still starts, SIGKILL to what is left after the grace period.

    Returns:
        Whether any of them ran.
    """
    family = first = entry.family()
    for end, seconds in ((psutil.Process.terminate, grace_s), (psutil.Process.kill, GRACE_S)):
        told: set[psutil.Process] = set()
        deadline = time.monotonic() + seconds
        while family and time.monotonic() < deadline:
            for each in family - told:
                with suppress(psutil.NoSuchProcess):
                    end(each)
            told |= family
            time.sleep(POLL_S)
            family = {each for each in family if _lives(each)} | entry.family()
    return bool(first)


def _lives(process: psutil.Process) -> bool:
    """Not so one that has ended and was not waited for by its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
