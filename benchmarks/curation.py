"""Curation: embedding beside clip-retrieval's clip_inference, the alignment filter at ten million rows, another threshold for 100,000 rows.

    .venv/bin/python benchmarks/curation.py --json curation.json

`embedding` needs clip-retrieval's environment (`make clip-retrieval`); both embed the same JPEG files, images only, with the lab's CLIP,
one torch thread each, in turns. The clock runs from the first picture read to the last file written; models are loaded before.
Every measurement runs in a process of its own.
"""

import argparse
import hashlib
import io
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from child_process import ROOT, in_child, printed_json
from results_table import Row, report, row

NEIGHBOUR = ROOT / "envs" / "clip-retrieval" / ".venv" / "bin" / "python"
REFERENCE = ROOT / "envs" / "clip-retrieval" / "time_inference.py"
SOURCE, CLASSIFIER, ENCODER, CAPTION_RECIPE = "art", "probe-000000000000", "clip-000000000000", "caption-000000000000"
PART_SIZE = 1000


def main() -> None:
    """Run the chosen parts, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["embedding", "filter", "refilter"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=3_000, help="to embed")
    parser.add_argument("--filter-rows", type=int, default=10_000_000)
    parser.add_argument("--refilter-rows", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        job = json.loads(chosen.child)
        print(json.dumps(KINDS[job["kind"]](job)))
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="curation-") as folder:
        if chosen.only in (None, "embedding"):
            rows += embedding_rows(Path(folder), chosen.images, chosen.repeats)
        if chosen.only in (None, "filter"):
            rows += filter_rows(chosen.filter_rows, chosen.repeats)
        if chosen.only in (None, "refilter"):
            rows += refilter_rows(Path(folder), chosen.refilter_rows, chosen.repeats)
    report(rows, chosen.json)


def embedding_rows(folder: Path, images: int, repeats: int) -> list[Row]:
    """Pictures a second, and where the time goes: waiting for decoded pictures, the model, writing."""
    if not NEIGHBOUR.exists():
        raise SystemExit(f"{NEIGHBOUR} does not exist: run make clip-retrieval, or choose another part with --only")
    write_pictures(folder, images)
    workspace, files = str(folder / "workspace"), str(folder / "files")
    turns = []
    for _ in range(repeats):
        shutil.rmtree(folder / "workspace" / "embeddings", ignore_errors=True)
        ours = in_child(__file__, {"kind": "embed", "workspace": workspace})
        turns.append((ours, reference_embedding(files, folder / "reference")))
    print(f"embedding, turn by turn (ours, reference): {json.dumps(turns)}")
    found = [{name: statistics.median(turn[side][name] for turn in turns) for name in turns[0][side]} for side in (0, 1)]
    ours, reference = found[0]["rate"], found[1]["rate"]
    rows = [row(f"embedding, {images:,} JPEG files of 64 to 256 px", "images/s", ours, reference, 1.0, ours >= reference)]
    for name in ("reading", "computing", "writing"):
        rows.append(row(f"embedding, {name}", "s", found[0][name], found[1][name], None, None))
    return rows


def filter_rows(count: int, repeats: int) -> list[Row]:
    """Seconds, and the largest resident memory of a process that makes the frame and filters it."""
    turns = [in_child(__file__, {"kind": "filter", "rows": count}) for _ in range(repeats)]
    seconds, peak = (statistics.median(turn[name] for turn in turns) for name in ("seconds", "peak_mib"))
    return [
        row(f"alignment filter, {count:,} rows", "s", seconds, None, 20, seconds < 20),
        row(f"alignment filter, {count:,} rows, peak memory of the process", "MiB", peak, None, 2048, peak < 2048),
    ]


def refilter_rows(folder: Path, count: int, repeats: int) -> list[Row]:
    """Seconds from a call of `refilter` to the last part of the new decisions, with another confidence and another fraction each time."""
    workspace = folder / "refilter"
    write_scored_source(str(workspace), count)
    turns = []
    for _ in range(repeats):
        shutil.rmtree(workspace / "decisions", ignore_errors=True)
        turns.append(in_child(__file__, {"kind": "refilter", "workspace": str(workspace)}))
    seconds, processor = (statistics.median(turn[name] for turn in turns) for name in ("seconds", "processor_s"))
    name = f"another threshold and fraction, {count:,} rows"
    return [row(name, "s", seconds, None, 2, seconds < 2), row(f"{name}, processor time", "s", processor, None, None, None)]


def embed(job: Row) -> Row:
    """Ours: from the images table to the embeddings table."""
    from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
    from coemogen_core.encoders.embedding import embed_part
    from coemogen_core.storage.workspace import Table, Workspace

    recipe = EncoderRecipe(model="lab:clip")
    encoder = load_encoder(recipe)
    spent = {"computing": 0.0, "writing": 0.0}
    encoder.encode_pixels = timed(encoder.encode_pixels, spent, "computing")  # type: ignore[method-assign]
    Table.write_part = timed(Table.write_part, spent, "writing")  # type: ignore[method-assign]
    workspace = Workspace(job["workspace"])
    started = time.perf_counter()
    rows = sum(embed_part(workspace, SOURCE, part, recipe).rows for part in workspace.table("images", SOURCE).parts())
    seconds = time.perf_counter() - started
    return {"rate": rows / seconds, "reading": seconds - sum(spent.values()), **spent}


def reference_embedding(files: str, destination: Path) -> Row:
    """clip_inference in its own environment."""
    shutil.rmtree(destination, ignore_errors=True)
    model = ROOT / "coemogen_core" / "lab" / "models" / "clip"
    return printed_json([str(NEIGHBOUR), str(REFERENCE), files, str(destination), str(model)])


def filter_alignment(job: Row) -> Row:
    """Filter so many random rows."""
    import polars as pl
    import pyarrow as pa

    from coemogen_core.captioning.alignment_filter import drop_lowest_aligned
    from coemogen_core.emotions import EMOTIONS

    count = job["rows"]
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 64 * count + 1, 64, dtype=np.int64)
    ids = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(rng.bytes(32 * count).hex().encode()))
    labels = pl.Series("label", rng.integers(0, 8, count, dtype=np.int8)).replace_strict(dict(enumerate(EMOTIONS)), return_dtype=pl.String)
    similarity = np.asarray(rng.normal(0.25, 0.05, count), np.float32)
    frame = pl.DataFrame({"image_id": pl.from_arrow(ids), "label": labels, "similarity": similarity})
    del ids, labels, similarity, offsets
    started = time.perf_counter()
    kept = int(drop_lowest_aligned(frame, 0.2)["kept"].sum())
    seconds = time.perf_counter() - started
    assert abs(kept - 0.8 * count) <= 8, kept
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def refilter(job: Row) -> Row:
    """Decide with two thresholds; only the second one, a query for another version, is timed."""
    from coemogen_core.captioning.current_captions import CaptionPolicy
    from coemogen_core.curation.decide import Thresholds, decide, refilter
    from coemogen_core.curation.decisions import CurationRecipe
    from coemogen_core.curation.selection import Selection
    from coemogen_core.storage.workspace import Workspace

    workspace = Workspace(job["workspace"])
    selection, captions = Selection.by_confidence(CLASSIFIER), CaptionPolicy.pinned(CAPTION_RECIPE)
    recipe = CurationRecipe(dataset="emoart", selection=selection, captions=captions, encoder_id=ENCODER)
    first = decide(workspace, SOURCE, workspace.table("images", SOURCE).parts(), recipe)
    started, used = time.perf_counter(), time.process_time()
    second = refilter(workspace, "emoart", first.version, Thresholds(min_confidence=0.6, drop_fraction=0.3))
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    assert second.version != first.version
    assert not any(part.reused for part in second.parts)
    return {"seconds": seconds, "processor_s": processor}


KINDS: dict[str, Callable[[Row], Row]] = {"embed": embed, "filter": filter_alignment, "refilter": refilter}


def timed(function: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    """The same function; what it takes is added up under a name."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - started

    return wrapped


def write_pictures(folder: Path, count: int) -> None:
    """Scenes of the lab, enlarged to odd sizes and a little noisy, as files and as an images table."""
    from PIL import Image

    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.lab.scenes.scene import render, sample_scene

    rng = np.random.default_rng(0)
    (folder / "files").mkdir()
    pictures = []
    for number in range(count):
        width, height = (int(side) for side in rng.integers(64, 257, 2))
        scene = render(sample_scene(rng, EMOTIONS[int(rng.integers(len(EMOTIONS)))])).resize((width, height))
        noisy = np.clip(np.asarray(scene).astype(int) + rng.integers(-8, 9, (height, width, 3)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
        (folder / "files" / f"{number:06d}.jpg").write_bytes(buffer.getvalue())
        pictures.append((buffer.getvalue(), width, height))
    write_images(str(folder / "workspace"), pictures)


def write_images(workspace: str, pictures: list[tuple[bytes, int, int]]) -> None:
    """An images table of these pictures and sizes."""
    import polars as pl

    from coemogen_core.storage.workspace import Workspace
    from schemas.tables import Images

    nothing = [pl.lit(None, pl.String).alias(name) for name in ("label", "split", "artist", "style", "genre", "licence", "attributes")]
    for start in range(0, len(pictures), PART_SIZE):
        rows = [
            {"image_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": "x.jpg"}, "width": width, "height": height}
            for data, width, height in pictures[start : start + PART_SIZE]
        ]
        part = f"part-{start // PART_SIZE:05d}"
        Workspace(workspace).table("images", SOURCE).write_part(part, pl.DataFrame(rows).with_columns(nothing), Images)


def write_scored_source(uri: str, count: int) -> None:
    """So many pictures (of a few random bytes) with scores, captions and similarities, in parts of a thousand."""
    import polars as pl

    from coemogen_core.captioning.attempts import chunk_name
    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.storage.workspace import Workspace
    from schemas.tables import Alignment, Captions, EmotionScores

    rng = np.random.default_rng(0)
    workspace = Workspace(uri)
    write_images(uri, [(rng.bytes(64), 64, 64) for _ in range(count)])
    images = workspace.table("images", SOURCE)
    for part in images.parts():
        ids = images.read_part(part, ["image_id"])["image_id"]
        size = len(ids)
        label = pl.Series("label", [EMOTIONS[index] for index in rng.integers(0, 8, size)])
        columns = {"image_id": ids, "recipe_id": [CAPTION_RECIPE] * size, "attempt": [1] * size}
        scores = pl.DataFrame({"image_id": ids, "label": label, "confidence": 0.5 + 0.5 * rng.random(size)})
        scores = scores.with_columns(probabilities=pl.lit([0.125] * 8, pl.Array(pl.Float32, 8)))
        workspace.table("emotion_scores", SOURCE, CLASSIFIER).write_part(part, scores, EmotionScores)
        text = [f"A quiet scene with a person near some trees that evokes {emotion}, number {n}." for n, emotion in enumerate(label)]
        facts = {"caption": text, "emotion_prior": label, "prompt_id": ["p"] * size, "model": ["m"] * size}
        attempts = pl.DataFrame(columns | facts).with_columns(asked_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)))
        missing = [name for name in Captions.column_names() if name not in attempts.columns]
        attempts = attempts.with_columns(pl.lit(None).alias(name) for name in missing)
        workspace.table("captions", SOURCE).write_part(chunk_name(part, CAPTION_RECIPE, 0), attempts, Captions)
        lengths = {"text_tokens": [16] * size, "cut_tokens": [0] * size}
        aligned = pl.DataFrame(columns | {"similarity": np.clip(rng.normal(0.25, 0.05, size), -1, 1)} | lengths)
        workspace.table("alignment", SOURCE, ENCODER).write_part(chunk_name(part, CAPTION_RECIPE, 0), aligned, Alignment)


if __name__ == "__main__":
    main()
