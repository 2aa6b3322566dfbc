"""A stage of very many parts: memory of the flow, time and requests a part, against a real Prefect server.

    .venv/bin/python benchmarks/many_parts.py --parts 10000 100000 --json many_parts.json

The flow plans a source of as many parts, which is new to its workspace, and hands them out; each task asks whether its part stands, as
all do, and counts its rows, as in a run that has nothing to do. Every number of parts has a server on an empty database, and a flow in a
process of its own. The clock runs until the server has been told of every task; planning is timed apart.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
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
            lay_out_parts(Path(folder), parts)
            job = {"workspace": f"{folder}/workspace", "source": f"{folder}/source", "parts": parts}
            found[parts] = in_child(__file__, job, PREFECT_API_URL=api, PREFECT_HOME=f"{folder}/prefect")
            found[parts]["recorded"] = _completed_task_runs(api, parts + 1)  # of the plan too
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


def lay_out_parts(folder: Path, count: int) -> None:
    """A source of so many rows, a part each, and a workspace in which every part stands: one row, most of them links to a few files."""
    import polars as pl

    from coemogen_core.data.plan import plan_source
    from coemogen_core.storage.workspace import Workspace
    from schemas.tables import Rejected

    (folder / "source").mkdir(parents=True)
    pictures = [{"bytes": b"picture", "path": f"{number:06d}.jpg"} for number in range(count)]
    pl.DataFrame({"image": pictures}).write_parquet(folder / "source" / "train.parquet")
    names = plan_source(Workspace(str(folder / "scratch")), SOURCE, "hf_parquet", str(folder / "source"), part_size=1)
    shutil.rmtree(folder / "scratch")
    table = Workspace(str(folder / "workspace")).table("rejected", SOURCE)
    table.write_part(names[0], pl.DataFrame([{"path": "a.jpg", "reason": "empty file", "detail": "a.jpg: no bytes"}]), Rejected)
    place = folder / "workspace" / "rejected" / SOURCE
    first = place / f"{names[0]}.parquet"
    for number, name in enumerate(names[1:], 1):
        if number % 10_000 == 0:  # file systems bound the links of a file
            (place / f"{name}.parquet").write_bytes(first.read_bytes())
            first = place / f"{name}.parquet"
        else:
            os.link(first, place / f"{name}.parquet")


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
    from tasks.ingest import plan_source_task
    from tasks.options import STORED, shown

    @task(name="count rows", task_run_name="count {part}", **STORED)
    def count_rows(workspace_uri: str, part: str) -> PartOutcome:
        done.append(time.perf_counter())
        table = Workspace(workspace_uri).table("rejected", SOURCE)
        return shown(PartOutcome(part=part, rows=table.count([part]), reused=table.has_part(part)))

    planned, done = list[float](), list[float]()

    @flow(name=FLOW, task_runner=ThreadPoolTaskRunner(max_workers=1))
    def many_parts() -> int:
        with Stages(FLOW, job["workspace"], "many") as stages:
            started = time.perf_counter()
            parts = plan_source_task(job["workspace"], SOURCE, "hf_parquet", job["source"], part_size=1)
            planned.append(time.perf_counter() - started)
            return stages.each_part("count", count_rows, parts).rows

    before = _peak_mib()
    started = time.perf_counter()
    assert many_parts() == job["parts"]
    APILogWorker.drain_all()
    EventsWorker.drain_all()
    seconds = time.perf_counter() - started - planned[0]
    tenth = len(done) // 10
    tenths = {"first_tenth_s": done[tenth] - done[0], "last_tenth_s": done[-1] - done[-1 - tenth]}
    return {"seconds": seconds, "planned_s": planned[0], **tenths, "peak_mib": _peak_mib(), "before_mib": before, "requests": requests[0]}


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
            row(f"{parts:,} parts: completed on the server", "task runs", here["recorded"], parts + 1, 1.0, here["recorded"] == parts + 1),
            row(f"{parts:,} parts: time to plan a part", "ms", 1000 * here["planned_s"] / parts, None, None, None),
        ]
        if parts == few:
            table.append(row(f"{parts:,} parts: time a part", "ms", a_part, None, None, None))
            continue
        at_first, memory = 1000 * less["seconds"] / few, less["peak_mib"]
        early, late = (10_000 * here[f"{which}_tenth_s"] / parts for which in ("first", "last"))
        table += [
            row(f"{parts:,} parts: peak memory, beside {few:,}", "MiB", peak, memory, MEMORY_BAR, peak <= MEMORY_BAR * memory),
            row(f"{parts:,} parts: time a part, beside {few:,}", "ms", a_part, at_first, TIME_BAR, a_part <= TIME_BAR * at_first),
            row(f"{parts:,} parts: time a part of the last tenth, beside the first", "ms", late, early, TIME_BAR, late <= TIME_BAR * early),
        ]
    return table


if __name__ == "__main__":
    main()
