"""The whole chain on S3's protocol, against moto's server on loopback, as a user with a bucket runs it: the tables of a local folder."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import polars as pl
import pytest

from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.storage.workspace import Workspace

PHOTOS, PAINTINGS = 240, 120
TABLES = ("images", "rejected", "embeddings", "emotion_scores", "alignment", "decisions", "curated", "features")
TIMES = ("asked_at", "latency_s")
SHORT = (
    "training.steps=4",
    "training.warmup_steps=0",
    "training.checkpoint_every=2",
    "images_per_emotion=2",
    "generation.num_inference_steps=2",
    "evaluation.minimum_reference=20",
    "evaluation.resamples=20",
)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket, which this process and its children reach by the usual variables."""
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    credentials = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**credentials, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("pictures")
    yield "s3://pictures"
    running.stop()


def run(*arguments: object, home: Path) -> None:
    environment = {**os.environ, "PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-c", "from flows.command_line import main; main()", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def chain(world: Path, workspace: str) -> None:
    """All three flows, with little training."""
    parts = ("--set", "part_size=60")
    run("build-emoset", world / "photos", "--workspace", workspace, *parts, home=world / "prefect")
    run("build-emoart", world / "paintings", "--workspace", workspace, *parts, "--set", "min_confidence=0.2", home=world / "prefect")
    settings = [argument for setting in SHORT for argument in ("--set", setting)]
    run("train-and-eval", "--workspace", workspace, "--emoart", "emoart", *settings, home=world / "prefect")


def tables(workspace: str) -> dict[str, bytes]:
    filesystem, root = fsspec.core.url_to_fs(workspace)
    filesystem.invalidate_cache()
    files = [path for table in TABLES if filesystem.exists(f"{root}/{table}") for path in filesystem.find(f"{root}/{table}")]
    return {path.removeprefix(root): filesystem.cat_file(path) for path in files if path.endswith((".parquet", ".safetensors"))}


def captions(workspace: str, source: str) -> pl.DataFrame:
    return Workspace(workspace).table("captions", source).read().drop(TIMES).sort("image_id", "attempt")


@pytest.mark.slow
def test_a_bucket_gets_the_tables_and_the_numbers_of_a_local_folder(bucket: str, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", PHOTOS, 3)
    write_paintings(tmp_path / "paintings", PAINTINGS, 4)
    local, remote = str(tmp_path / "workspace"), f"{bucket}/workspace"
    chain(tmp_path, local)
    chain(tmp_path, remote)

    expected = tables(local)
    assert {path.split("/")[1] for path in expected} == set(TABLES)
    assert tables(remote) == expected
    for source in ("emoset", "wikiart"):
        assert captions(remote, source).equals(captions(local, source))
    (run_id,) = [path.name for path in Path(local, "runs").glob("eval-*")]
    there, here = (json.loads(Workspace(uri).read_file("runs", run_id, "metrics.json")) for uri in (remote, local))
    assert there["methods"] == here["methods"]
    assert Workspace(remote).exists("runs", run_id, "report.html")
