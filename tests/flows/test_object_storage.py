"""The whole chain on S3's protocol, against moto's server on loopback: the tables of a local folder."""

import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from coemogen_core.storage.workspace import Workspace
from tests.flows.chain import captions, run_chain

TABLES = ("images", "rejected", "embeddings", "emotion_scores", "alignment", "decisions", "curated", "features")


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
    name = f"pictures-{uuid.uuid4().hex[:8]}"  # moto's buckets outlive its server
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # they keep the address of an earlier server
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
    yield f"s3://{name}"
    running.stop()


def tables(workspace: str) -> dict[str, bytes]:
    filesystem, root = fsspec.core.url_to_fs(workspace)
    filesystem.invalidate_cache()
    files = [path for table in TABLES if filesystem.exists(f"{root}/{table}") for path in filesystem.find(f"{root}/{table}")]
    return {path.removeprefix(root): filesystem.cat_file(path) for path in files if path.endswith((".parquet", ".safetensors"))}


@pytest.mark.slow
def test_a_bucket_gets_the_tables_and_the_numbers_of_a_local_folder(
    bucket: str, world: Path, chain: Path, tiny_clip: Path, tiny_diffusion: Path
) -> None:
    local, remote = str(chain), f"{bucket}/workspace"
    run_chain(world, remote, tiny_clip, tiny_diffusion)

    expected = tables(local)
    assert {path.split("/")[1] for path in expected} == set(TABLES)
    assert tables(remote) == expected
    for source in ("emoset", "wikiart"):
        assert captions(remote, source).equals(captions(local, source))
    (run_id,) = [path.name for path in Path(local, "runs").glob("eval-*")]
    there, here = (json.loads(Workspace(uri).read_file("runs", run_id, "metrics.json")) for uri in (remote, local))
    assert there["methods"] == here["methods"]
    assert Workspace(remote).exists("runs", run_id, "report.html")
