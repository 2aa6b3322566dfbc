"""Ingestion: pictures a second against `datasets`' imagefolder -> Parquet on the same files, and whether memory grows with the source.

    .venv/bin/python benchmarks/ingest.py --photos FOLDER --json ingest.json

`datasets` copies the files into Parquet and decodes nothing; ours decodes and checks every picture whole. Real photos are replicated to
distinct files by a few bytes after the end of their JPEG. Every measurement has a process of its own; ours and the reference take turns.
"""

import argparse
import io
import itertools
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import child_process
import numpy as np
from PIL import Image
from results_table import Row, report, row

SOURCE = "photos"
FOLDER_SIZE = 1000  # generated pictures in a folder


def main() -> None:
    """Run the chosen parts, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["rate", "memory"])
    parser.add_argument("--photos", type=Path, help="folder of real photos for the rate; without it, generated ones of 400 x 320 pixels")
    parser.add_argument("--images", type=int, default=2224, help="of a rate run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-images", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(json.loads(chosen.child))))
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        if chosen.only in (None, "rate"):
            rows += rate_rows(Path(folder), chosen.photos, chosen.images, chosen.repeats)
        if chosen.only in (None, "memory"):
            rows += memory_rows(Path(folder), chosen.memory_images)
    report(rows, chosen.json)


def rate_rows(folder: Path, photos: Path | None, count: int, repeats: int) -> list[Row]:
    """Pictures a second, listing and writing included, imports not."""
    source = folder / "photos"
    write_photos(source, photos, count)
    turns = []
    for _ in range(repeats):
        turns.append(tuple(in_child({"kind": kind, "source": str(source), "folder": str(folder / "out")}) for kind in ("ours", "datasets")))
        print(" ".join(f"{side['images'] / side['seconds']:.0f}/s ({side['cpu_s']:.2f} s of CPU)" for side in turns[-1]), file=sys.stderr)
    if any(side["images"] != count for turn in turns for side in turn):
        raise RuntimeError(f"not all of {count} pictures came through: {turns}")
    ours, reference = (statistics.median(count / turn[side]["seconds"] for turn in turns) for side in (0, 1))
    return [row("ingest of photos, every one decoded, to Parquet", "images/s", ours, reference, 1.0, ours / reference >= 1.0)]


def memory_rows(folder: Path, count: int) -> list[Row]:
    """Largest resident memory of planning and ingesting, at a tenth and at all of the pictures."""
    peaks = {}
    for images in (count // 10, count):
        source = folder / f"small-{images}"
        write_small(source, images)
        done = in_child({"kind": "ours", "source": str(source), "folder": str(folder / "out")})
        if done["images"] != images:
            raise RuntimeError(f"only {done['images']} of {images} pictures came through")
        peaks[images] = done["peak_mib"]
        shutil.rmtree(source)
    small, large = peaks[count // 10], peaks[count]
    return [row(f"peak memory at {count:,} pictures against {count // 10:,}", "MiB", large, small, 1.1, large <= 1.1 * small)]


def measure(job: Row) -> Row:
    """One run in this process."""
    run = {"ours": ingest, "datasets": imagefolder}[job["kind"]]
    run({**job, "source": job["warm"], "folder": f"{job['folder']}-warm"})  # imports and first uses are no part of a rate
    before, started = os.times(), time.perf_counter()
    images = run(job)
    seconds, after = time.perf_counter() - started, os.times()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = after.user + after.system - before.user - before.system
    return {"images": images, "seconds": seconds, "cpu_s": cpu, "peak_mib": peak}


def ingest(job: Row) -> int:
    """Plan and ingest into a workspace; number of accepted pictures."""
    from coemogen_core.data.ingest import ingest_part
    from coemogen_core.data.plan import plan_source
    from coemogen_core.storage.workspace import Workspace

    workspace = Workspace(job["folder"])
    parts = plan_source(workspace, SOURCE, "image_folder", job["source"])
    return sum(ingest_part(workspace, SOURCE, part).rows for part in parts)


def imagefolder(job: Row) -> int:
    """The same by `datasets`: a Parquet file with the pictures embedded; number of rows."""
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.load_dataset("imagefolder", data_dir=job["source"], split="train", cache_dir=f"{job['folder']}/cache")
    rows.to_parquet(f"{job['folder']}/photos.parquet")
    return len(rows)


def in_child(job: Row) -> Row:
    """Measure in a process of its own, into an empty folder."""
    with tempfile.TemporaryDirectory(prefix="ingest-warm-") as warm:
        write_small(Path(warm) / "source", 10)
        found = child_process.in_child(__file__, job | {"warm": f"{warm}/source"}, HF_HOME=f"{warm}/home")
    for folder in (job["folder"], f"{job['folder']}-warm"):
        shutil.rmtree(folder, ignore_errors=True)
    return found


def write_photos(folder: Path, photos: Path | None, count: int) -> None:
    """Distinct files in folders named by emotions: the photos over and over, with their number behind the end of the picture."""
    from coemogen_core.emotions import EMOTIONS

    pictures = [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))] if photos else [jpeg(seed, 400, 320) for seed in range(200)]
    for number, data in zip(range(count), itertools.cycle(pictures), strict=False):
        target = folder / EMOTIONS[number % 8] / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data + number.to_bytes(4, "big"))


def write_small(folder: Path, count: int) -> None:
    """Small generated pictures, a thousand to a folder, no two alike."""
    pictures = [jpeg(seed, 64, 64) for seed in range(50)]
    for number in range(count):
        target = folder / f"{number // FOLDER_SIZE:05d}" / f"{number:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pictures[number % 50] + number.to_bytes(4, "big"))


def jpeg(seed: int, width: int, height: int) -> bytes:
    """A picture with structure at all scales."""
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
