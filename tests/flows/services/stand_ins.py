"""`coemogen serve`, `revive` and `stop` as processes of their own, with a shell script in the place of Prefect's server and workers.

The commands are forked from a process that has imported all of it once: they start within the same hundredth of a second.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import psutil
import pytest

from flows.command_line import main
from flows.services import processes, serve
from flows.services.processes import ProcessList

DEADLINE_S = 120
BOTH = {"server", "worker-lab"}
QUICK = "exec sleep 600"
LEAVES_A_CHILD = "sh -c 'trap \"while [ -e hold-end ]; do sleep 0.05; done; exit\" TERM; touch child-$$; while :; do sleep 0.05; done' & "
LEAVES_A_CHILD += QUICK
"""The service ends at once, and what it has started not before `hold-end` is gone."""
START = {"start", "behind_gate", "_write"}
"""Functions in which a process is started and noted."""
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Attack:
    """What goes wrong in a command."""

    popen_s: float = 0.0
    """So long it takes to start a process."""
    lethal_line: int | None = None
    """Of those in which a process is started, the one before which SIGKILL comes."""


def lines_of_a_start(found: Callable[[int], None]) -> Callable[..., Any]:
    """To trace with: gives the number of each line at its first time."""
    seen: set[tuple[str, int]] = set()
    folder = str(Path(processes.__file__).parent)

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(folder) or frame.f_code.co_name not in START:
            return None
        place = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and place not in seen:
            seen.add(place)
            found(len(seen))
        return trace

    return trace


def stand_in(patch: pytest.MonkeyPatch, place: Path) -> None:
    """From now on this process serves the script; `hold-deploy` in its folder keeps it at its deployments."""
    patch.chdir(place)

    def deploy(_: object) -> None:
        (place / "deploying").touch()
        while (place / "hold-deploy").exists():
            time.sleep(0.02)

    patch.setattr(serve, "deploy", deploy)
    patch.setattr(serve, "ask", lambda *_: {"pools": ["lab"], "limits": ["gpu"]})
    patch.setattr(serve, "_answers", lambda settings: ProcessList(settings.folder).running("server") is not None)
    patch.setattr(serve, "_program", lambda _: str(place / "service"))
    patch.setattr(serve, "sys", SimpleNamespace(executable=str(place / "service")))


def run(place: Path, arguments: list[str], output: Path, attack: Attack) -> None:
    """The command line, in a process of its own."""
    patch = pytest.MonkeyPatch()
    stand_in(patch, place)

    class SlowPopen(subprocess.Popen[Any]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            time.sleep(attack.popen_s)

    patch.setattr(subprocess, "Popen", SlowPopen)
    file = os.open(output, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    warnings.simplefilter("ignore")  # of Cyclopts, which finds pytest here
    sys.argv = ["coemogen", *arguments]
    if attack.lethal_line is not None:
        sys.settrace(lines_of_a_start(lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == attack.lethal_line else None))
    main()
    sys.stdout.flush()


class Machine:
    """Services in a folder, and whoever starts and ends them."""

    def __init__(self, place: Path, script: str = QUICK) -> None:
        place.mkdir(exist_ok=True)
        self.place, self.folder, self.processes = place, place / "prefect", ProcessList(place / "prefect")
        self.folder.mkdir()
        (place / "prefect.yaml").touch()
        (place / "service").write_text(f"#!/bin/sh\n{script}\n")
        (place / "service").chmod(0o755)
        self._count = 0

    def start(self, command: str, attack: Attack | None = None) -> tuple[BaseProcess, Path]:
        """A command that runs from now on, and the file of what it says."""
        self._count += 1
        output = self.place / f"{self._count}-{command}.txt"
        output.touch()
        process = PROCESSES.Process(target=run, args=(self.place, [command, "--folder", str(self.folder)], output, attack or Attack()))
        process.start()
        return process, output

    def do(self, command: str) -> str:
        """A command to its good end."""
        return finish(*self.start(command))

    def alive(self) -> set[int]:
        """Ids of all that was started here, listed or not, with what that started."""
        home = str(self.folder.resolve())
        found = psutil.process_iter(["environ", "status", "pid"])
        alive = (each.info for each in found if each.info["status"] != psutil.STATUS_ZOMBIE)
        return {each["pid"] for each in alive if (each["environ"] or {}).get("PREFECT_HOME") == home}

    def listed(self) -> dict[str, int]:
        """Names of what is listed and runs."""
        return {each.name: each.pid for each in self.processes.read() if each.find() is not None}

    def assert_no_orphan(self) -> None:
        """Exactly what is listed runs, as soon as a process has ended that saw its command die."""
        until(lambda: self.alive() == set(self.listed().values()))

    def end(self) -> None:
        for pid in self.alive():
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


def finish(process: BaseProcess, output: Path) -> str:
    """What a command said, when it has ended well."""
    process.join(DEADLINE_S)
    said = output.read_text()
    assert process.exitcode == 0, said
    return said


def all_finish(started: list[tuple[BaseProcess, Path]]) -> str:
    """What all of them said; they run side by side."""
    return "".join([finish(*each) for each in started])


def until(found: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + DEADLINE_S
    while not found():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One with services that do as they are told."""
    made = Machine(tmp_path / "machine")
    yield made
    made.end()


@pytest.fixture
def slow_machine(tmp_path: Path) -> Iterator[Machine]:
    """One whose services run, and leave a child behind as long as they are told to."""
    made = Machine(tmp_path / "machine", LEAVES_A_CHILD)
    (made.place / "hold-end").touch()
    made.do("serve")
    until(lambda: len(list(made.place.glob("child-*"))) == len(BOTH))
    yield made
    made.end()
