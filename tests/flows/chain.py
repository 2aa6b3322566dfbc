"""The three flows in a row on a small world and tiny random models, and the same commands in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.params import BuildEmoartParams, BuildEmosetParams, load_params
from flows.train_and_eval import train_and_eval
from flows.train_params import TrainAndEvalParams
from schemas.outcomes import CorpusOutcome, RunOutcome

PHOTOS, PAINTINGS, PART_SIZE = 128, 24, 32
BROKEN = "image/awe/awe_00002.jpg"
CAPTION = {"model": "lab:captioner", "max_new_tokens": 48}
TIMES = ("asked_at", "latency_s")


def write_world(folder: Path) -> None:
    """Photos, one of them broken, and paintings."""
    write_photos(folder / "photos", PHOTOS, 1)
    (folder / "photos" / BROKEN).write_bytes(b"\xff\xd8 no picture")
    write_paintings(folder / "paintings", PAINTINGS, 2)


def run_emoset(world: Path, workspace: str, clip: Path, **changed: object) -> CorpusOutcome:
    """build-emoset with the names that the command line gives."""
    shared = {"workspace": workspace, "part_size": PART_SIZE, "encoder": {"model": str(clip)}, "caption": CAPTION}
    source = {"name": "emoset", "layout": "emoset", "root": str(world / "photos")}
    return build_emoset(load_params("lab", BuildEmosetParams, {**shared, "source": source, **changed}))


def run_emoart(world: Path, workspace: str, clip: Path) -> CorpusOutcome:
    """build-emoart on the same workspace."""
    shared = {"workspace": workspace, "part_size": PART_SIZE, "encoder": {"model": str(clip)}, "caption": CAPTION}
    source = {"name": "wikiart", "layout": "wikiart", "root": str(world / "paintings")}
    wanted = {"source": source, "labelled_source": "emoset", "min_confidence": 0.13}
    return build_emoart(load_params("lab", BuildEmoartParams, {**shared, **wanted}))


def run_training(workspace: str, clip: Path, diffusion: Path, **changed: object) -> RunOutcome:
    """train-and-eval with next to no training: one step for each emotion, where a method trains emotion by emotion."""
    values = {
        "workspace": workspace,
        "models": {"diffusion": str(diffusion), "clip": str(clip)},
        "training": {"steps": 8, "batch_size": 2, "warmup_steps": 0},
        "images_per_emotion": 2,
        "generation": {"num_inference_steps": 1},
        "evaluation": {"clip_model": str(clip), "resamples": 20},
        **changed,
    }
    return train_and_eval(load_params("lab", TrainAndEvalParams, values))


def run_chain(world: Path, workspace: str, clip: Path, diffusion: Path) -> tuple[CorpusOutcome, CorpusOutcome, RunOutcome]:
    """All three."""
    emoset, emoart = run_emoset(world, workspace, clip), run_emoart(world, workspace, clip)
    emoart_too = {"emoart_dataset": "emoart", "emoart_truth": str(world / "paintings")}
    return emoset, emoart, run_training(workspace, clip, diffusion, **emoart_too)


def start_emoset(world: Path, workspace: Path, clip: Path, api: str) -> subprocess.Popen[str]:
    """`coemogen build-emoset` with the parameters of `run_emoset`, as a process that a test may kill, with all that it starts."""
    values = [f"encoder.model={clip}", f"part_size={PART_SIZE}", f"caption.max_new_tokens={CAPTION['max_new_tokens']}"]
    settings = [part for value in values for part in ("--set", value)]
    return start_command(api, "build-emoset", world / "photos", "--workspace", workspace, *settings)


def start_command(api: str, *arguments: object) -> subprocess.Popen[str]:
    """`coemogen` with these arguments, its runs recorded by the server at `api`."""
    environment = os.environ | {"PREFECT_API_URL": api, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True)


def captions(workspace: str, source: str = "emoset") -> pl.DataFrame:
    """All attempts without the measured columns."""
    return Workspace(workspace).table("captions", source).read().drop(TIMES).sort("image_id", "attempt")
