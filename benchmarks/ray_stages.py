"""Ingestion, embedding and scores of build-emoart on a Ray cluster of two worker processes, beside Prefect's thread pool.

    .venv/bin/python benchmarks/ray_stages.py --json ray_stages.json

Drawn paintings, the lab's CLIP, one torch thread a process. A third run loses a worker process (SIGKILL) while it embeds. All
tables must have the same bytes. Times are those of the three stages over the paintings, as the flow recorded them; with Ray, the first
holds the start of the cluster, and each worker loads the model once.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from child_process import ROOT
from results_table import Row, report, row

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace
from flows.outcomes import read_timings

LABELLED = 400
STAGES = ("ingest", "embed", "score")
TABLES = ("images", "rejected", "embeddings", "emotion_scores")
ON_RAY = ("execution.runner=ray", "execution.workers=2")


def main() -> None:
    """Run all three, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--part-size", type=int, default=1000)
    parser.add_argument("--world", type=Path, help="keeps the drawn pictures, for another time: drawing 20,000 takes ten minutes")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ray-stages-") as name:
        folder = Path(name)
        world = (chosen.world or folder).resolve()
        print(f"drawing {chosen.images:,} paintings, unless they are there")
        write_photos(world / "photos", LABELLED, 3)
        write_paintings(world / "paintings", chosen.images, 4)
        seconds = {}
        for side, settings, kill in (("threads", (), False), ("ray", ON_RAY, False), ("ray-killed", ON_RAY, True)):
            seconds[side] = run(world, folder / side, chosen.part_size, settings, kill=kill)
            print(f"{side}: {', '.join(f'{stage} {taken:.1f} s' for stage, taken in seconds[side].items())}")
        rows = _rows(folder, chosen.images, {side: sum(taken.values()) for side, taken in seconds.items()})
    report(rows, chosen.json)


def run(world: Path, workspace: Path, part_size: int, settings: tuple[str, ...], *, kill: bool) -> dict[str, float]:
    """Run the flow into a workspace; seconds of its stages."""
    arguments = ["build-emoart", world / "paintings", "--labelled-root", world / "photos", "--workspace", workspace]
    for setting in (f"part_size={part_size}", "min_confidence=0.999", *settings):  # next to nothing is left to caption
        arguments += ["--set", setting]
    environment = {**os.environ, "PREFECT_HOME": str(workspace.parent / "prefect"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    if kill:
        _kill_a_busy_worker(process, workspace)
    if process.wait():
        raise RuntimeError(f"{workspace.name} failed: its message stands above")
    timings = read_timings(Workspace(str(workspace)), "emoart")
    return {stage: timings[f"build-emoart/{stage}"] for stage in STAGES}


def _kill_a_busy_worker(process: subprocess.Popen[bytes], workspace: Path) -> None:
    """When some parts are embedded: Ray writes the task's name into the title of the process that works on it."""
    flow = psutil.Process(process.pid)
    while process.poll() is None:
        done = len(list(workspace.glob("embeddings/wikiart/*/*.parquet")))
        busy = [child for child in flow.children(recursive=True) if _title(child).startswith("ray::embed part")]
        if done >= 5 and busy:
            os.kill(busy[0].pid, signal.SIGKILL)
            print(f"killed {busy[0].pid} after {done} parts")
            return
        time.sleep(0.05)
    raise RuntimeError("the run ended before a worker was seen at work")


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _rows(folder: Path, images: int, seconds: dict[str, float]) -> list[Row]:
    what = f"ingest, embed, score of {images:,} images"
    rows = []
    for side, name in (("ray", "two Ray workers"), ("ray-killed", "two Ray workers, one killed")):
        rows.append(row(f"{what}: {name}", "s", seconds[side], seconds["threads"], None, None))
        different = _different(folder / "threads", folder / side)
        rows.append(row(f"parts that differ from the thread pool's: {name}", "parts", len(different), None, 0, not different))
    return rows


def _different(one: Path, other: Path) -> list[Path]:
    files = {path.relative_to(root) for root in (one, other) for table in TABLES for path in (root / table).rglob("*.parquet")}
    if not files:
        raise RuntimeError("there are no tables to compare")
    return [
        file
        for file in sorted(files)
        if not ((one / file).is_file() and (other / file).is_file() and (one / file).read_bytes() == (other / file).read_bytes())
    ]


if __name__ == "__main__":
    main()
