"""A vLLM server of our own: started, watched, started again when it dies, and always ended.

with serve(OwnServerSettings(model="lab:captioner"), log_file) as server:
    ...  # a chat API is at server.endpoint, and serves server.model
"""

import contextlib
import http.client
import logging
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.server.own_server_settings import ENVIRONMENT_VARIABLE, HOST, OwnServerSettings
from coemogen_core.captioning.server.vllm_checkpoint import folder_for_vllm
from coemogen_core.process_keeper import kept_command
from coemogen_core.storage.model_source import locate

TAIL_LINES = 20
LONGEST_LINE = 400
READ_AT_MOST = 2**20  # bytes from the end of the log
# The last line of a traceback, as Python prints it or after vLLM's "(Worker pid=1) ERROR 01-31 10:00:00 [file.py:1] ".
_EXCEPTION = re.compile(r"^(?:\([^)]*\) ERROR [^\[]*\[[^\]]*\] )?((?:\w+\.)*\w*(?:Error|Exception)\b.*)")


def end_of_log(log_file: Path, start: int) -> str:
    """The first exception and the last lines of a log, from the byte at which this server's own begins.

    The processes of a server report one after the other, the one where it began first, so that its exception is often far above the end.
    """
    with log_file.open("rb") as log:
        log.seek(max(start, log_file.stat().st_size - READ_AT_MOST))
        lines = [line[:LONGEST_LINE] for line in log.read().decode(errors="replace").splitlines()]
    exception = next((found.group(1) for line in lines if (found := _EXCEPTION.match(line))), None)
    cause = f"its first error: {exception}\n" if exception else ""
    remedy = "`make captioner` builds the environment anew\n" if any("No module named" in line for line in lines) else ""
    return f"{cause}{remedy}the end of its log {log_file}:\n" + "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


logger = logging.getLogger(__name__)

GRACE_S = 20.0  # between SIGTERM and SIGKILL
POLL_S = 0.2
PROBE_TIMEOUT_S = 5.0
STEADY_S = 600.0  # a server that lived so long does not die of what it was started with
LONGEST_PAUSE_S = 60.0


class OwnServerError(EndpointError):
    """The server did not start, or died too often. The message holds what its log says about it."""


@contextmanager
def serve(settings: OwnServerSettings, log_file: Path) -> Iterator["OwnServer"]:
    """A running server: yields when it is healthy, and ends it with everything it started on the way out, whatever the reason.

    A server that dies is started again on the same port. When this process is killed, the server ends as well. It writes into the log.

    Raises:
        FileNotFoundError: the environment or the model's folder does not exist.
        OSError: the port is taken.
        OwnServerError: the server died before it was healthy, or was not healthy in time.
    """
    server = OwnServer(settings, log_file)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class OwnServer:
    """One server over all its lives; made by `serve`.

    Attributes:
        model: the name under which the model is served.
        port: where it listens, on 127.0.0.1.
        log_file: everything that the server has written.
        pid: of the server; another one after a restart.
        error: why the server was given up; None until then.
    """

    def __init__(self, settings: OwnServerSettings, log_file: Path) -> None:
        """See `serve` for the errors."""
        if not os.access(settings.python, os.X_OK):
            raise FileNotFoundError(
                f"no environment with vLLM at {settings.environment}: run `make captioner`, or set ${ENVIRONMENT_VARIABLE} to where it is"
            )
        self.model = settings.model
        self.port = _free_port(settings.port)
        self.log_file = log_file
        weights = folder_for_vllm(locate(settings.model))
        self._settings = settings
        self._command = settings.command(weights, self.port)
        self._variables = settings.variables(weights, os.environ)
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0
        self.error: OwnServerError | None = None
        self._turn = threading.Lock()  # between starting the next life and stopping for good
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="captioner-supervisor", daemon=True)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = 0  # where the log of the present life begins

    @property
    def endpoint(self) -> str:
        """Base URL of the chat API."""
        return f"http://{HOST}:{self.port}/v1"

    def start(self) -> None:
        """Start the server and wait until it is healthy. See `serve` for the errors."""
        logger.info("starting vLLM, which takes half a minute and more; its log: %s", self.log_file)
        self._launch()
        self._supervisor.start()

    def wait(self) -> None:
        """Wait until the server is given up or stopped. Raises OwnServerError when it died too often."""
        while self._supervisor.is_alive():  # in slices: a signal interrupts no longer wait on every platform
            self._supervisor.join(1.0)
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End the server and everything it started. A second call does nothing."""
        self._stopping.set()
        with self._turn:
            self._end_keeper()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def _launch(self) -> None:
        """One life of the server, up to its first healthy answer."""
        with self._turn:
            if self._stopping.is_set():
                return
            keeper = self._start_keeper()
        deadline = time.monotonic() + self._settings.startup_timeout_s
        while not self._is_healthy():
            if keeper.poll() is not None:
                raise self._failed(f"ended (exit code {keeper.returncode}) before it was healthy")
            if time.monotonic() > deadline:
                raise self._failed(f"was not healthy within startup_timeout_s = {self._settings.startup_timeout_s:g}")
            if self._stopping.wait(POLL_S):
                return

    def _start_keeper(self) -> subprocess.Popen[str]:
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            keeper = self._keeper = subprocess.Popen(
                kept_command(self._command, GRACE_S),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._variables,
                start_new_session=True,  # Ctrl-C in a terminal reaches us alone, and we end the server in order
                text=True,
            )
        with cast(IO[str], keeper.stdout) as stdout:
            self.pid = int(stdout.readline() or 0)
        return keeper

    def _end_keeper(self) -> None:
        """Ask the keeper to end the server, and wait until everything is gone."""
        if self._keeper is None:
            return
        self._keeper.terminate()
        if self._keeper.wait() < 0:  # the keeper itself was killed, and could not clear up
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _supervise(self) -> None:
        """Start the server again whenever it dies, with growing pauses, until it has died too often in a row."""
        deaths = 0
        while True:
            up_since = time.monotonic()
            code = self._keeper.wait() if self._keeper else None
            if self._stopping.is_set():
                return
            self._end_keeper()
            deaths = 1 if time.monotonic() - up_since > STEADY_S else deaths + 1
            if deaths > self._settings.max_restarts:
                self.error = self._failed(f"died (exit code {code}) and is given up after {deaths - 1} restarts in a row")
                logger.error("%s", str(self.error).splitlines()[0])
                return
            pause, limit = min(2.0 ** (deaths - 1), LONGEST_PAUSE_S), self._settings.max_restarts
            logger.warning("the captioner's server died (exit code %s); restart %d of %d in %g s", code, deaths, limit, pause)
            if self._stopping.wait(pause):
                return
            try:
                self._launch()
                logger.info("the captioner's server is healthy again at %s", self.endpoint)
            except OwnServerError as error:
                logger.warning("%s", str(error).splitlines()[0])
                self._end_keeper()

    def _failed(self, what: str) -> OwnServerError:
        return OwnServerError(f"the captioner's server {what}; {end_of_log(self.log_file, self._log_start)}")

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PROBE_TIMEOUT_S)  # no proxy stands between us
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _free_port(port: int) -> int:
    """The port itself, or a free one for 0. Raises OSError when something listens there already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port that was just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OSError(
                f"port {port} of {HOST} cannot be used ({error.strerror}): stop what listens there, or take another (0: a free one)"
            ) from error
        return probe.getsockname()[1]
