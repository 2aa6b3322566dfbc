"""A run that is killed in the middle of captioning and started again ends with the tables of an undisturbed run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from coemogen_core.lab.corpora import write_photos
from coemogen_core.storage.workspace import Workspace

PHOTOS = 240
DEADLINE_S = 400


def start(photos: Path, workspace: Path, clip: Path, home: Path) -> subprocess.Popen[bytes]:
    arguments = ["build-emoset", str(photos), "--workspace", str(workspace)]
    for setting in (f"encoder.model={clip}", "caption.max_new_tokens=48", "captioner.batch_size=20"):
        arguments += ["--set", setting]
    environment = {**os.environ, "PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *arguments]
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)


def captions(workspace: Path) -> pl.DataFrame:
    return Workspace(str(workspace)).table("captions", "emoset").read().drop("asked_at", "latency_s").sort("image_id", "attempt")


@pytest.mark.slow
def test_sigkill_in_the_middle_of_captioning(tmp_path: Path, tiny_clip: Path) -> None:
    photos = write_photos(tmp_path / "photos", PHOTOS, 3)
    home = tmp_path / "prefect"
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert start(photos, undisturbed, tiny_clip, home).wait(DEADLINE_S) == 0

    process = start(photos, killed, tiny_clip, home)
    deadline = time.monotonic() + DEADLINE_S
    while not list(killed.glob("captions/emoset/*/*.parquet")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = captions(killed).height
    assert 0 < before < PHOTOS

    assert start(photos, killed, tiny_clip, home).wait(DEADLINE_S) == 0
    assert captions(killed).equals(captions(undisturbed))
    for table in ("images/emoset", "embeddings/emoset", "alignment/emoset", "decisions/emoset"):
        files = sorted(path.relative_to(undisturbed) for path in (undisturbed / table).rglob("*.parquet"))
        assert files == sorted(path.relative_to(killed) for path in (killed / table).rglob("*.parquet"))
        assert all((undisturbed / file).read_bytes() == (killed / file).read_bytes() for file in files)
