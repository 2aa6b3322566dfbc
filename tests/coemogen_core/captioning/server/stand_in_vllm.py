"""A stand-in for vLLM's environment: a folder whose `bin/python` starts a small real HTTP server, whatever it is told to run.

The server answers /health and /v1/models, the latter only to those who bring the key, if there is one (`--api-key`, `VLLM_API_KEY`). It
starts a child that ignores SIGTERM, as an engine that hangs would. The words after vLLM's options make it misbehave: `die` ends it with a
message, `sleep` makes it never answer, `stubborn` lets it ignore SIGTERM, and with `strays` its child is in a process group of its own.
"""

import http.server
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def make_environment(folder: Path) -> Path:
    """Write the environment; returns its folder. Its server notes the process ids of all its lives in `pids`, two a line."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder / "pids"}" "$@"\n')
    python.chmod(0o755)
    return folder


def lives(environment: Path) -> list[tuple[int, int]]:
    """Process ids of the server and its child, one pair for each life."""
    notes = environment / "pids"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [(int(server), int(child)) for server, child in (line.split() for line in lines)]


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main(notes: Path, arguments: list[str]) -> None:
    if "die" in arguments:
        sys.exit("\n".join(["the first of many lines", *("..." for _ in range(30)), "ValueError: no such model"]))
    if "stubborn" in arguments:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session="strays" in arguments)
    with notes.open("a") as file:
        file.write(f"{os.getpid()} {child.pid}\n")
    if "sleep" in arguments:
        time.sleep(600)
    options = dict(itertools.pairwise(arguments))
    key = options.get("--api-key") or os.environ.get("VLLM_API_KEY")
    served = json.dumps({"data": [{"id": options["--served-model-name"], "arguments": arguments}]}).encode()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/health": b"", "/v1/models": served}
            refused = key and self.path.startswith("/v1") and self.headers["Authorization"] != f"Bearer {key}"
            self.send_response(401 if refused else 200 if self.path in known else 404)
            self.end_headers()
            self.wfile.write(b'{"error": "Unauthorized"}' if refused else known.get(self.path, b""))

    http.server.ThreadingHTTPServer((options["--host"], int(options["--port"])), Answer).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
