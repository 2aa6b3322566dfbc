"""One Prefect server for a test run: the first worker that needs it starts it, the last one that leaves ends it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from filelock import FileLock
from torch.distributed.elastic.utils.distributed import get_free_port

ROOT = Path(__file__).parents[1]
STARTUP_TIMEOUT_S = 600  # a busy machine is not a failure


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """The address of the API, for as long as the block.

    Args:
        folder: the same one for all workers; takes the database, the log, and who uses the server.
    """
    lock, users, place = FileLock(folder / "lock"), folder / "users", folder / "server"
    with lock:
        users.mkdir(exist_ok=True)
        if not any(users.iterdir()):
            place.write_text("{} {}".format(*_start(folder)))
        me = users / str(os.getpid())
        me.touch()
        process, api = place.read_text().split()
    try:
        yield api
    finally:
        with lock:
            me.unlink()
            if not any(users.iterdir()):
                _end(int(process))


def _start(folder: Path) -> tuple[int, str]:
    """The server of `coemogen serve`, which takes requests from many sides; returns its process and the address of its API."""
    port = get_free_port()
    api = f"http://127.0.0.1:{port}/api"
    settings = {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_UI_ENABLED": "false"}
    settings["PREFECT__SERVER_EPHEMERAL"] = "1"  # no schedules, triggers and late runs, which nobody here asks for
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command = [sys.executable, "-m", "flows.services.prefect_server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=clean | settings, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    with httpx.Client(timeout=60, trust_env=False) as client:  # one: each loads all certificates, a thirtieth of a second
        while not _answers(client, api):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, f"no server within {STARTUP_TIMEOUT_S} s: {folder / 'log'}"
            time.sleep(0.1)
    return process.pid, api


def _answers(client: httpx.Client, api: str) -> bool:
    try:
        return client.get(f"{api}/health").status_code == 200
    except httpx.TransportError:
        return False


def _end(pid: int) -> None:
    """End the server. Another worker may be its parent, and leave it a zombie: that is ended, too, and waiting for more would not end."""
    process = psutil.Process(pid)
    process.terminate()
    patience = time.monotonic() + 60
    while _is_alive(process):
        if time.monotonic() > patience:
            process.kill()
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
