"""A process that begins when it is said so, and never when whoever could say so is killed before.

In between it has its process id and the time of its start, so that both can be noted before there is anything to lose.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, cast

import psutil

POLL_S = 0.005
SHELL = "/bin/sh"
GATE = 'exec 3<&0; { read -r begin <&3 && exec "$@" </dev/null >&2 3<&-; } & echo "$!"'
"""Prints the id of a process that becomes the command when a line comes in, and ends when none can come any more."""


@contextmanager
def behind_gate(command: Sequence[str], log: Path, variables: Mapping[str, str]) -> Iterator[int]:
    """A process that becomes the command when the block ends well, and ends when it does not. As daemons do, it leaves its parent, for what
    that one does to its children when it gets a signal is not meant for services.

    Args:
        command: program and arguments.
        log: takes what it writes, after what is there.
        variables: its environment.

    Yields:
        Its process id, the same before and after.

    Raises:
        ChildProcessError: the system has no room for one more process.
    """
    line = [SHELL, "-c", GATE, SHELL, *command]
    with (
        log.open("ab") as file,
        subprocess.Popen(line, bufsize=0, stdin=PIPE, stdout=PIPE, stderr=file, env=dict(variables), start_new_session=True) as shell,
    ):
        begin, said = cast("IO[bytes]", shell.stdin), cast("IO[bytes]", shell.stdout)
        pid = said.readline().strip()
        if not pid:
            raise ChildProcessError(f"{command[0]} cannot be started: {log} says why")
        process = psutil.Process(int(pid))
        yield process.pid
        with suppress(BrokenPipeError):  # somebody has ended it already
            begin.write(b"\n")
        _wait_until_begun(process)  # or the next who looks would take us for killed


def is_behind_gate(process: psutil.Process) -> bool:
    """Whether it has not begun."""
    try:
        return process.cmdline()[1:3] == ["-c", GATE]
    except psutil.Error:
        return False


def _wait_until_begun(process: psutil.Process) -> None:
    while is_behind_gate(process):
        time.sleep(POLL_S)
