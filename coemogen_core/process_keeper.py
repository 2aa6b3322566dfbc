"""Runs one command, a server or a training, and sees to its end: a program of its own, which can act when our process was killed.

    python process_keeper.py PARENT_PID GRACE_S COMMAND...

It starts the command in a process group of its own, prints the command's process id, and stays until the command ends, SIGTERM comes, or
the parent is gone. Then it ends everything that the command has started: SIGTERM, and SIGKILL for what is left after the grace period.
Its exit code is the command's, 128 + signal when a signal ended it. It imports nothing but the standard library.

On Linux, processes that leave the group are found as well, and the command gets SIGTERM when this program itself is killed with
SIGKILL; elsewhere neither can be had.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

POLL_S = 0.1
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36


def kept_command(command: list[str], grace_s: float) -> list[str]:
    """The command line that runs a command under this program, for as long as the process lives that calls this."""
    # -I: none of the modules beside this file shall be taken for one of the standard library
    return [sys.executable, "-I", __file__, str(os.getpid()), str(grace_s), *command]


def main(arguments: list[str]) -> int:
    """Run the command to its end; see the module's text."""
    parent, grace_s, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    stop_requested = False

    def request_stop(*_: object) -> None:
        nonlocal stop_requested
        stop_requested = True

    signal.signal(signal.SIGTERM, request_stop)
    _set_process_option(PR_SET_CHILD_SUBREAPER, 1)  # orphans of the command become children of this process
    # The command writes where this program's errors go: the server's log.
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True, preexec_fn=_end_with_keeper
    )
    print(server.pid, flush=True)
    while server.poll() is None and not stop_requested and os.getppid() == parent:
        time.sleep(POLL_S)
    _end_everything(server, grace_s)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _end_with_keeper() -> None:
    """In the child, before the command is loaded: ask for SIGTERM when the keeper dies."""
    _set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)


def _set_process_option(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_everything(server: subprocess.Popen[bytes], grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    _signal_group(server.pid, signal.SIGTERM)
    while time.monotonic() < deadline and (server.poll() is None or _orphans(server.pid)):
        time.sleep(POLL_S)
    _signal_group(server.pid, signal.SIGKILL)
    server.wait()
    while orphans := _orphans(server.pid):  # the children of one that is killed show up in the next round
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _orphans(server: int) -> list[int]:
    """Living children of this process except the server itself; dead ones are buried here. Empty where the kernel does not list them."""
    try:
        children = [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []
    living = []
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            if pid != server and os.waitpid(pid, os.WNOHANG) == (0, 0):
                living.append(pid)
    return living


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
