"""A training in several processes, one a GPU, which `accelerate launch` starts: children that end with their caller."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import yaml
from pydantic import Field, field_validator

from coemogen_core.errors import CoEmoGenError
from coemogen_core.process_keeper import kept_command
from coemogen_core.training.stopping import TrainingStoppedError, listens_to_sigterm
from coemogen_core.training.trainer import Progress
from schemas.frozen_model import FrozenModel

PROGRESS, FAILURE = "progress ", "failure "  # begin lines that are for us, not for people
GRACE_S = 120.0  # between SIGTERM and SIGKILL: a step is finished and saved
LAST_LINES = 25
POLL_S = 0.5


class LaunchError(CoEmoGenError):
    """The processes failed; the message says why, where one of them knew, and holds the last lines of what they said."""


class LaunchSettings(FrozenModel):
    """In how many processes a method trains. Their number changes neither the run id nor, beyond rounding, the result."""

    processes: int = Field(default=1, ge=1, le=1024, description="that train together, one a GPU; 1 = the flow's own process")
    config_file: str | None = Field(
        default=None, description="written by `accelerate config`: machines, their addresses and ports, where several nodes train together"
    )

    @field_validator("config_file")
    @classmethod
    def _config_exists(cls, file: str | None) -> str | None:
        if file is not None and not Path(file).is_file():
            raise ValueError(f"{file} does not exist on this machine: write it by `accelerate config --config_file {file}`")
        return file

    @property
    def is_wanted(self) -> bool:
        """Whether anything is to be launched."""
        return self.processes > 1 or self.config_file is not None

    @property
    def processes_here(self) -> int:
        """How many of them run on this machine; of several nodes, each has an equal share of what the file says."""
        if self.config_file is None:
            return self.processes
        written = yaml.safe_load(Path(self.config_file).read_text(encoding="utf-8")) or {}
        return max(1, written.get("num_processes", 1) // written.get("num_machines", 1))

    def command(self, child: str, job: str) -> list[str]:
        """The command line by which a module, the child, trains a job."""
        here = ["--num_processes", str(self.processes), "--multi_gpu", "--main_process_port", "0"]  # 0: a free one
        where = here if self.config_file is None else ["--config_file", self.config_file]
        return [sys.executable, "-m", "accelerate.commands.launch", *where, "-m", child, job]


class Said(NamedTuple):
    """What the processes wrote."""

    lines: deque[str]
    failures: list[str]


def train_in_processes(
    child: str, job: Mapping[str, Any], settings: LaunchSettings, on_progress: Callable[[Progress], None] | None = None
) -> None:
    """Run a module in several processes, which train together, until they are done.

    Args:
        child: the module; it prints `PROGRESS` and `FAILURE` lines (`run_child`).
        job: what it is to train; JSON-serialisable, its only argument.
        settings: how many processes, and where.
        on_progress: called after every log interval.

    Raises:
        LaunchError: a process failed.
        TrainingStoppedError: it was asked to stop (SIGTERM); all processes have stopped after the same step, and calling again goes on.
    """
    said = Said(deque(maxlen=LAST_LINES), [])
    with listens_to_sigterm() as stop, _started(settings.command(child, json.dumps(job))) as process:
        reader = threading.Thread(target=_read, args=(process, said, on_progress), daemon=True)
        reader.start()
        while process.poll() is None:
            if stop.wait(POLL_S):
                process.terminate()
                process.wait()
        reader.join()
        if stop.is_set() and process.returncode:
            raise TrainingStoppedError(f"stopped as asked, in {settings.processes} processes; the same command goes on from the checkpoint")
    if process.returncode:
        reason = said.failures[0] if said.failures else f"exit code {process.returncode}"
        raise LaunchError(f"training in {settings.processes} processes failed: {reason}\n\nIts last lines:\n" + "\n".join(said.lines))


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command under a keeper, which ends all of its processes when it is told to, or when this process dies."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ACCELERATE_DISABLE_RICH": "1"}
    process = subprocess.Popen(
        kept_command(command, GRACE_S),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # what the command says
        env=environment,
        start_new_session=True,  # Ctrl-C in a terminal reaches us alone, and we end the training in order
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def _read(process: subprocess.Popen[str], said: Said, on_progress: Callable[[Progress], None] | None) -> None:
    with cast(IO[str], process.stderr) as stream:
        for line in stream:
            if line.startswith(FAILURE):
                said.failures.append(line.removeprefix(FAILURE).rstrip())
            elif not line.startswith(PROGRESS):
                said.lines.append(line.rstrip())
            elif on_progress is not None:
                on_progress(Progress(**json.loads(line.removeprefix(PROGRESS))))


def run_child(train: Callable[[dict[str, Any], Callable[[Progress], None]], object], job: str) -> None:
    """What a child module does: train the job, print a line for every log interval, and one that says why it failed."""
    try:
        train(json.loads(job), lambda progress: print(PROGRESS + json.dumps(asdict(progress)), flush=True))
    except Exception as error:
        print(f"{FAILURE}{type(error).__name__}: {error}", flush=True)
        raise
