"""Captioning: how close the task comes to a bare load generator, how many captions a second the client can do, and its memory.

    .venv/bin/python benchmarks/captioning.py --json captioning.json

Three parts. `stub`: a server that answers anything in 50 ms, at 256 requests in flight. `memory`: the same with pictures of 50 KB.
`vllm`: the lab's captioner on a real vLLM (after `make captioner`), against a generator that holds a fixed number of requests in flight,
at its best number.
Every measurement runs in a process of its own; ours and the reference take turns.
"""

import argparse
import asyncio
import hashlib
import io
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import child_process
import numpy as np
from child_process import ROOT
from PIL import Image
from results_table import Row, report, row

STUB = ROOT / "tests" / "coemogen_core" / "captioning" / "server" / "unruly_server.py"
PART_SIZE = 1000
SOURCE = "photos"


def main() -> None:
    """Run the chosen parts, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["stub", "memory", "vllm"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=24_000, help="of a stub run")
    parser.add_argument("--memory-images", type=int, default=100_000)
    parser.add_argument("--vllm-images", type=int, default=600, help="of a vLLM run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(json.loads(chosen.child))))
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="captioning-") as folder:
        if chosen.only in (None, "stub"):
            rows += stub_rows(Path(folder), chosen.images, chosen.repeats)
        if chosen.only in (None, "memory"):
            rows += memory_rows(Path(folder), chosen.memory_images)
        if chosen.only in (None, "vllm"):
            rows += vllm_rows(Path(folder), chosen.vllm_images, chosen.repeats)
    report(rows, chosen.json)


def stub_rows(folder: Path, images: int, repeats: int) -> list[Row]:
    """Captions a second at 256 requests in flight, pictures of 4 KB and of 50 KB."""
    rows = []
    for name, size in (("4 KB", 4_000), ("50 KB", 50_000)):
        workspace = folder / f"stub-{size}"
        write_images(workspace, images, lambda number, size=size: padded(number, size))  # type: ignore[misc]
        with stub_server() as endpoint:
            job = {"workspace": str(workspace), "endpoint": endpoint, "model": "stub-captioner", "concurrency": 256}
            turns = [(in_child(job | {"kind": "task"}), in_child(job | {"kind": "generator"})) for _ in range(repeats)]
        ours, reference = (statistics.median(turn[side]["rate"] for turn in turns) for side in (0, 1))
        rows.append(row(f"stub, 256 in flight, pictures of {name}", "captions/s", ours, reference, 2000, ours >= 2000))
        shutil.rmtree(workspace)
    return rows


def memory_rows(folder: Path, images: int) -> list[Row]:
    """Largest resident memory of the client, and whether it grows with the number of pictures."""
    peaks = {}
    for count in (images // 5, images):
        workspace = folder / f"memory-{count}"
        write_images(workspace, count, lambda number: padded(number, 50_000))
        with stub_server() as endpoint:
            job = {"workspace": str(workspace), "endpoint": endpoint, "model": "stub-captioner", "concurrency": 256, "kind": "task"}
            peaks[count] = in_child(job)["peak_mib"]
        shutil.rmtree(workspace)
    few, many = peaks.values()
    return [
        row(f"peak memory, {images:,} pictures of 50 KB", "MiB", many, None, 600, many < 600),
        row(f"peak memory, {images:,} against {images // 5:,} pictures", "MiB", many, few, 1.1, many / few <= 1.1),
    ]


def vllm_rows(folder: Path, images: int, repeats: int) -> list[Row]:
    """Ratio to the generator at its best concurrency, on pictures that the server has never seen."""
    from coemogen_core.captioning.server.own_server import serve
    from coemogen_core.captioning.server.own_server_settings import OwnServerSettings

    settings = OwnServerSettings(model="lab:captioner", max_num_seqs=64, max_model_len=512)
    fresh = scenes()
    rates: dict[str, list[float]] = {}
    with serve(settings, folder / "vllm.log") as server:
        job = {"endpoint": server.endpoint, "model": server.model}

        def turn(name: str, kind: str, concurrency: int) -> None:
            workspace = folder / f"vllm-{name}-{len(rates.get(name, []))}"
            write_images(workspace, images, lambda _: next(fresh))
            done = in_child(job | {"kind": kind, "workspace": str(workspace), "concurrency": concurrency})
            assert done["captions"] == images, f"{done} of {images}"
            rates.setdefault(name, []).append(done["rate"])

        turn("warm-up", "generator", 32)
        for concurrency in (16, 32, 64, 128):
            turn(str(concurrency), "generator", concurrency)
        best = max((16, 32, 64, 128), key=lambda concurrency: rates[str(concurrency)][0])
        for _ in range(repeats):
            turn("task", "task", 256)
            turn("best", "generator", best)
    ours, reference = statistics.median(rates["task"]), statistics.median(rates["best"])
    found = {name: [round(rate, 1) for rate in values] for name, values in rates.items()}
    print(f"vLLM, requests/s by name of the run: {found}")
    return [row(f"vLLM, lab's captioner, generator at {best} in flight", "captions/s", ours, reference, 0.9, ours / reference >= 0.9)]


def measure(job: Row) -> Row:
    """One measurement, in this process."""
    job["started"] = time.perf_counter()
    captions = (caption_everything if job["kind"] == "task" else generate_load)(job)
    seconds = time.perf_counter() - job["started"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"captions": captions, "rate": captions / seconds, "peak_mib": peak}


def caption_everything(job: Row) -> int:
    """Ours: from the images table to the captions table."""
    from coemogen_core.captioning.caption_part import caption_part
    from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
    from coemogen_core.storage.workspace import Workspace

    workspace = Workspace(job["workspace"])
    recipe = CaptionRecipe(model=job["model"], max_new_tokens=48)
    settings = ServerSettings(endpoints=(job["endpoint"],), concurrency=job["concurrency"])
    images = workspace.table("images", SOURCE)

    def one(part: str) -> int:
        wanted = images.read_part(part, ["image_id", "label"]).rename({"label": "emotion"})
        return caption_part(workspace, SOURCE, part, wanted, recipe, settings).rows

    job["started"] = time.perf_counter()  # as for the generator: imports are not counted
    with ThreadPoolExecutor(settings.parts_at_once) as threads:
        return sum(threads.map(one, images.parts()))


def generate_load(job: Row) -> int:
    """The reference: the same requests, all built beforehand; nothing is read, judged or written while they run."""
    import aiohttp
    from openai import AsyncOpenAI
    from yarl import URL

    from coemogen_core.captioning.backend import CaptionRequest
    from coemogen_core.captioning.prompt import load_prompt
    from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
    from coemogen_core.captioning.server.api_key import read_key
    from coemogen_core.captioning.server.chat_request import request_body
    from coemogen_core.captioning.server.endpoint import request_headers
    from coemogen_core.storage.workspace import Workspace

    recipe = CaptionRecipe(model=job["model"], max_new_tokens=48)
    prompt = load_prompt(recipe.prompt_id)
    images = Workspace(job["workspace"]).table("images", SOURCE)
    bodies = []
    for part in images.parts():
        for image_id, image, label in images.read_part(part, ["image_id", "image", "label"]).iter_rows():
            request = CaptionRequest(image_id, image["bytes"], "", prompt.render(label), 0)
            bodies.append(request_body(request, recipe, with_image_id=False))
    url = URL(f"{job['endpoint']}/chat/completions")
    key = read_key(ServerSettings().api_key_variable)
    headers = request_headers(AsyncOpenAI(base_url=job["endpoint"], api_key=key), url)

    async def run() -> int:
        pending, answered = iter(bodies), 0
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def worker() -> None:
                nonlocal answered
                for body in pending:
                    async with session.post(url, data=body, headers=headers) as response:
                        answered += "choices" in json.loads(await response.read())

            await asyncio.gather(*(worker() for _ in range(job["concurrency"])))
        return answered

    job["started"] = time.perf_counter()
    return asyncio.run(run())


def in_child(job: Row) -> Row:
    """Measure in a process of its own, on a workspace without captions."""
    shutil.rmtree(Path(job["workspace"]) / "captions", ignore_errors=True)
    return child_process.in_child(__file__, job)


@contextmanager
def stub_server() -> Iterator[str]:
    """The test suite's server, fast and well-behaved, answering in 50 ms."""
    options = json.dumps({"fast": True, "delay_s": 0.05})
    with subprocess.Popen([sys.executable, str(STUB), options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def write_images(workspace: Path, count: int, picture: Callable[[int], bytes]) -> None:
    """An images table of that many pictures."""
    import polars as pl

    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.storage.workspace import Workspace
    from schemas.tables import Images

    table = Workspace(str(workspace)).table("images", SOURCE)
    for start in range(0, count, PART_SIZE):
        rows = []
        for number in range(start, min(count, start + PART_SIZE)):
            data = picture(number)
            rows.append({"image_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": f"{number}.jpg"}})
        frame = pl.DataFrame(rows).with_columns(
            pl.lit(64).alias("width"),
            pl.lit(64).alias("height"),
            pl.Series("label", [EMOTIONS[number % 8] for number in range(len(rows))]),
            pl.lit("train").alias("split"),
            *(pl.lit(None, pl.String).alias(name) for name in ("artist", "style", "genre", "licence", "attributes")),
        )
        table.write_part(f"part-{start // PART_SIZE:05d}", frame, Images)


def padded(number: int, size: int) -> bytes:
    """A small JPEG followed by as many random bytes as it lacks: decoders stop at its end."""
    rng = np.random.default_rng(number)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue() + rng.bytes(max(0, size - buffer.tell()))


def scenes() -> Iterator[bytes]:
    """Pictures of the lab's world, never the same."""
    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.lab.scenes.scene import render, sample_scene

    rng = np.random.default_rng(0)
    while True:
        buffer = io.BytesIO()
        render(sample_scene(rng, EMOTIONS[int(rng.integers(len(EMOTIONS)))])).save(buffer, "PNG")
        yield buffer.getvalue()


if __name__ == "__main__":
    main()
