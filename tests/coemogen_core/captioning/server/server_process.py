"""The unruly server as a process that a test can kill and start again."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

SCRIPT = Path(__file__).with_name("unruly_server.py")


class UnrulyProcess:
    """Listens on the same port over all its lives."""

    def __init__(self, **options: Any) -> None:
        self.options, self.port = options, 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "UnrulyProcess":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        command = [sys.executable, str(SCRIPT), json.dumps(self.options | {"port": self.port})]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def answered(log: Path, after_line: int = 0) -> Counter[str]:
    """How often each picture was answered whole, from a line of the server's log on."""
    return Counter(log.read_text().splitlines()[after_line:]) if log.exists() else Counter()
