"""One command at a time in a folder of services: serve, revive and stop wait for each other, each as a whole."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from coemogen_core.storage.whole_file import write_atomically
from flows.services.settings import ServiceError

LOCK = "processes.lock"
HOLDER = "holder.json"
WAIT_S = 600  # a server that comes up, or trainings that save their step, take minutes
POLL_S = 0.1


@contextmanager
def turn(folder: Path, command: str, say: Callable[[str], None], wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a folder. The system takes it from a process that ends, however it ends, so nobody waits for a dead one.

    Args:
        folder: of the services; made where it is not there.
        command: who holds it, as others are told.
        say: takes one line when somebody else is at work.
        wait_s: seconds to wait for them.

    Raises:
        ServiceError: somebody else held it all the time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"{_holder(folder)} is at work in {folder}: waiting for it, {wait_s:.0f} s at most")
        try:
            lock.acquire(timeout=wait_s, poll_interval=POLL_S)
        except Timeout:
            raise ServiceError(f"{_holder(folder)} is still at work in {folder}: end it if it hangs, then run this again") from None
    holder = folder / HOLDER
    try:
        with suppress(OSError):  # a full disk must not keep anybody from stopping
            write_atomically(str(holder.resolve()), json.dumps({"command": command, "pid": os.getpid()}).encode())
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _holder(folder: Path) -> str:
    """Who has the lock. What a killed holder noted is out of date until the next one has noted itself."""
    try:
        noted = json.loads((folder / HOLDER).read_text())
        if psutil.pid_exists(noted["pid"]):
            return f"`coemogen {noted['command']}` (process {noted['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return "another command"
