"""A stage of very many parts: memory of the flow, time and requests a part, against a real Prefect server.

    .venv/bin/python benchmarks/many_parts.py --parts 10000 100000 --json many_parts.json

The parts stand already, as in a run that has nothing to do: each task asks whether its part stands and counts its rows. Every number of
parts has a server on an empty database, and a flow in a process of its own. The clock runs until the server has been told of every task.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from child_process import ROOT, in_child
from results_table import Row, report, row
from torch.distributed.elastic.utils.distributed import get_free_port

from flows.services.settings import HOST, ServiceSettings

FLOW, SOURCE = "build-emoset", "many"
MEMORY_BAR, TIME_BAR = 1.1, 1.2
MEMORY_LIMIT_MIB = 1024


def main() -> None:
    """Run every number of parts, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, nargs="+", default=[10_000, 100_000], help="the first is what the others are compared with")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(json.loads(chosen.child))))
        return
    found = {}
    for parts in chosen.parts:
        with tempfile.TemporaryDirectory(prefix="many-parts-") as folder, server(Path(folder) / "server") as api:
            lay_out_parts(Path(folder) / "workspace", parts)
            job = {"workspace": f"{folder}/workspace", "parts": parts}
            found[parts] = in_child(__file__, job, PREFECT_API_URL=api, PREFECT_HOME=f"{folder}/prefect")
            found[parts]["recorded"] = _completed_task_runs(api, parts)
        print(f"{parts:,} parts: {found[parts]}", flush=True)
    report(rows(found), chosen.json)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """The server of `coemogen serve` on an empty database; the address of its API."""
    folder.mkdir()
    settings = ServiceSettings(folder=folder, port=get_free_port())
    command = [sys.executable, "-m", "flows.services.prefect_server", "--host", HOST, "--port", str(settings.port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=settings.variables() | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
        try:
            while not _answers(settings.api_url):
                if process.poll() is not None:
                    raise RuntimeError((folder / "log").read_text()[-2000:])
                time.sleep(0.3)
            yield settings.api_url
        finally:
            process.terminate()
            process.wait()


def _answers(api: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{api}/health", timeout=60, trust_env=False).is_success
    return False


def _completed_task_runs(api: str, wanted: int, patience_s: float = 600) -> int:
    """How many task runs the server shows as completed, when it has written down what it was told."""
    completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    end, found = time.monotonic() + patience_s, 0
    while found < wanted and time.monotonic() < end:
        time.sleep(1)
        found = httpx.post(f"{api}/task_runs/count", json=completed, timeout=60, trust_env=False).raise_for_status().json()
    return found


def part_names(count: int) -> list[str]:
    """In order."""
    return [f"part-{number:06d}" for number in range(count)]


def lay_out_parts(workspace: Path, count: int) -> None:
    """So many parts of one row, most of them links to a few files."""
    import polars as pl

    from coemogen_core.storage.workspace import Workspace
    from schemas.tables import Rejected

    table = Workspace(str(workspace)).table("rejected", SOURCE)
    names = part_names(count)
    table.write_part(names[0], pl.DataFrame([{"path": "a.jpg", "reason": "empty file", "detail": "a.jpg: no bytes"}]), Rejected)
    folder = workspace / "rejected" / SOURCE
    first = folder / f"{names[0]}.parquet"
    for number, name in enumerate(names[1:], 1):
        if number % 10_000 == 0:  # file systems bound the links of a file
            (folder / f"{name}.parquet").write_bytes(first.read_bytes())
            first = folder / f"{name}.parquet"
        else:
            os.link(first, folder / f"{name}.parquet")


def measure(job: Row) -> Row:
    """Run the flow in this process; seconds, peak memory and requests."""
    requests = _count_requests()
    from prefect import flow, task
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.task_runners import ThreadPoolTaskRunner

    from coemogen_core.storage.workspace import Workspace
    from flows.stages import Stages
    from schemas.outcomes import PartOutcome
    from tasks.options import STORED, shown

    @task(name="count rows", task_run_name="count {part}", **STORED)
    def count_rows(workspace_uri: str, part: str) -> PartOutcome:
        table = Workspace(workspace_uri).table("rejected", SOURCE)
        return shown(PartOutcome(part=part, rows=table.count([part]), reused=table.has_part(part)))

    @flow(name=FLOW, task_runner=ThreadPoolTaskRunner(max_workers=1))
    def many_parts() -> int:
        with Stages(FLOW, job["workspace"], "many") as stages:
            return stages.each_part("count", count_rows, part_names(job["parts"])).rows

    before = _peak_mib()
    started = time.perf_counter()
    assert many_parts() == job["parts"]
    APILogWorker.drain_all()
    EventsWorker.drain_all()
    return {"seconds": time.perf_counter() - started, "peak_mib": _peak_mib(), "before_mib": before, "requests": requests[0]}


def _count_requests() -> list[int]:
    """A counter of what this process asks any server from now on, over HTTP."""
    counted = [0]
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def counting(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        counted[0] += 1
        return send(self, *args, **kwargs)

    async def counting_async(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        counted[0] += 1
        return await send_async(self, *args, **kwargs)

    httpx.Client.send, httpx.AsyncClient.send = counting, counting_async  # type: ignore[method-assign]
    return counted


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rows(found: dict[int, Row]) -> list[Row]:
    """Every number of parts on its own, and beside the first."""
    table = []
    few, less = next(iter(found.items()))
    for parts, here in found.items():
        peak, a_part = here["peak_mib"], 1000 * here["seconds"] / parts
        table += [
            row(f"{parts:,} parts: peak memory of the flow", "MiB", peak, None, MEMORY_LIMIT_MIB, peak < MEMORY_LIMIT_MIB),
            row(f"{parts:,} parts: requests to Prefect over HTTP, a part", "requests", here["requests"] / parts, None, None, None),
            row(f"{parts:,} parts: completed on the server", "task runs", here["recorded"], parts, 1.0, here["recorded"] == parts),
        ]
        if parts == few:
            table.append(row(f"{parts:,} parts: time a part", "ms", a_part, None, None, None))
            continue
        at_first, memory = 1000 * less["seconds"] / few, less["peak_mib"]
        steady = 1 / TIME_BAR <= a_part / at_first <= TIME_BAR
        table += [
            row(f"{parts:,} parts: peak memory, beside {few:,}", "MiB", peak, memory, MEMORY_BAR, peak <= MEMORY_BAR * memory),
            row(f"{parts:,} parts: time a part, beside {few:,}", "ms", a_part, at_first, TIME_BAR, steady),
        ]
    return table


if __name__ == "__main__":
    main()
