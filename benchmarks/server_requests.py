"""Requests from many sides to the server that `coemogen serve` starts, beside prefect's own on the same SQLite.

    .venv/bin/python benchmarks/server_requests.py --json server_requests.json

Every client asks for a run, takes it through its states with task runs, logs and an artifact, and begins anew; another sends events. In
turns, each time on a new database. A request counts as refused when the answer is 503 or the server closes the connection without one.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from child_process import ROOT
from results_table import Row, report, row
from torch.distributed.elastic.utils.distributed import get_free_port

from flows.services.settings import HOST, ServiceSettings

SERVERS = {"ours": ["-m", "flows.services.prefect_server"], "prefect": ["-m", "prefect", "server", "start"]}
TASKS = 5  # of a run
EVENT = {"event": "benchmark.event", "resource": {"prefect.resource.id": "benchmark"}}


class Traffic:
    """What was asked, for how long it took, and what was refused."""

    def __init__(self, api: httpx.AsyncClient, seconds: float) -> None:
        self._api, self._end = api, time.monotonic() + seconds
        self.latencies: list[float] = []
        self.refused = 0

    async def ask(self, path: str, body: Any) -> Any:
        """The answer, or None where it was refused."""
        started = time.monotonic()
        try:
            answer = await self._api.post(path, json=body)
        except httpx.TransportError:  # Prefect's own server closes the connection after some of its refusals
            answer = None
        self.latencies.append(time.monotonic() - started)
        if answer is None or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.refused += 1
            return None
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def client(self, deployment: str) -> None:
        """Run after run, until time is up."""
        while time.monotonic() < self._end:
            run = await self.ask(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})
            if run:
                await self._live(run["id"])

    async def events(self) -> None:
        """Events as of a busy run."""
        while time.monotonic() < self._end:
            now = datetime.now(UTC).isoformat()
            await self.ask("events", [{**EVENT, "id": str(uuid.uuid4()), "occurred": now} for _ in range(20)])
            await asyncio.sleep(0.2)

    async def _live(self, run: str) -> None:
        for state in ("PENDING", "RUNNING"):
            await self.ask(f"flow_runs/{run}/set_state", {"state": {"type": state}})
        for number in range(TASKS):
            await self.ask("task_runs/", {"flow_run_id": run, "task_key": "task", "dynamic_key": str(number), "name": "task"})
        line = {"name": "benchmark", "level": 20, "message": "a line", "timestamp": datetime.now(UTC).isoformat(), "flow_run_id": run}
        await self.ask("logs/", [line] * 20)
        await self.ask("artifacts/", {"key": "table", "type": "markdown", "data": "text", "flow_run_id": run})
        await self.ask(f"flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}})


def main() -> None:
    """Ask both in turns, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    found: dict[str, list[Row]] = {server: [] for server in SERVERS}
    for number in range(chosen.rounds):
        for server in SERVERS:
            with tempfile.TemporaryDirectory(prefix="server-requests-") as folder:
                found[server].append(measure(server, Path(folder), chosen.clients, chosen.seconds))
            print(f"round {number + 1}, {server}: {found[server][-1]}")
    report(rows(found, chosen.clients), chosen.json)


def measure(server: str, folder: Path, clients: int, seconds: float) -> Row:
    """Start a server, ask it, end it."""
    port = get_free_port()
    quiet = {"PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "false", "PYTHONPATH": str(ROOT)}  # logging its refusals would cost Prefect's own time
    environment = ServiceSettings(folder=folder, port=port).variables() | quiet
    command = [sys.executable, *SERVERS[server], "--host", HOST, "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            return asyncio.run(_ask_from_all_sides(f"http://{HOST}:{port}/api/", clients, seconds))
        finally:
            process.terminate()
            process.wait()


async def _ask_from_all_sides(address: str, clients: int, seconds: float) -> Row:
    async with httpx.AsyncClient(base_url=address, timeout=120) as api:
        flow = await _made(api, "flows/", {"name": "benchmark"})
        deployment = await _made(api, "deployments/", {"name": "nowhere", "flow_id": flow})
        traffic = Traffic(api, seconds)
        started = time.monotonic()
        await asyncio.gather(traffic.events(), *(traffic.client(deployment) for _ in range(clients)))
        taken = time.monotonic() - started
    served = len(traffic.latencies) - traffic.refused
    return {"served": served / taken, "refused": traffic.refused / len(traffic.latencies), "slowest": max(traffic.latencies)}


async def _made(api: httpx.AsyncClient, path: str, body: Row, timeout_s: float = 120) -> str:
    """The id of what is set up before the clock starts: the server comes up first, and Prefect's own may refuse even these."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            answer = await api.post(path, json=body)
            if answer.is_success:
                return str(answer.json()["id"])
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.3)
    raise RuntimeError(f"{path} was not answered in {timeout_s:.0f} s")


def rows(found: dict[str, list[Row]], clients: int) -> list[Row]:
    """Medians over the rounds."""
    ours, theirs = ({name: statistics.median(each[name] for each in found[server]) for name in found[server][0]} for server in SERVERS)
    most = max(each["refused"] for each in found["ours"])
    return [
        row(f"{clients} clients: requests refused", "%", 100 * ours["refused"], 100 * theirs["refused"], 0, most == 0),
        row(f"{clients} clients: requests served", "1/s", ours["served"], theirs["served"], None, None),
        row(f"{clients} clients: slowest request", "s", ours["slowest"], theirs["slowest"], None, None),
    ]


if __name__ == "__main__":
    main()
