"""A published dataset goes through clip-retrieval's own index and service, in its own environment, and its pictures find themselves."""

import base64
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from coemogen_core.curation.decide import decide
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.publication.exports import export_clip_retrieval
from coemogen_core.publication.publication import publish
from coemogen_core.storage.model_source import locate
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Alignment
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, RECIPE, SOURCE, build_art

pytestmark = pytest.mark.clip_retrieval
ENVIRONMENT = Path(__file__).parents[2] / "envs" / "clip-retrieval"
PYTHON = ENVIRONMENT / ".venv" / "bin" / "python"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON} does not exist: run make clip-retrieval")
    folder = tmp_path_factory.mktemp("search")
    workspace, encoder = Workspace(str(folder / "workspace")), EncoderRecipe(model="lab:clip")
    build_art(workspace)
    similarities = workspace.table("alignment", SOURCE, ENCODER)
    for chunk in similarities.parts():  # as if this encoder had scored the captions
        workspace.table("alignment", SOURCE, encoder.encoder_id).write_part(chunk, similarities.read_part(chunk), Alignment)
    for part in PARTS:
        embed_part(workspace, SOURCE, part, encoder)
    version = decide(workspace, SOURCE, PARTS, RECIPE.model_copy(update={"encoder_id": encoder.encoder_id})).version
    publish(workspace, "emoart", version, SOURCE)
    export_clip_retrieval(workspace, "emoart", version, str(folder / "export"))
    return folder / "export"


@pytest.fixture(scope="module")
def service(export: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PYTHON), str(ENVIRONMENT / "search.py"), str(export), "--clip", locate("lab:clip"), "--port", str(port)]
    with (export.parent / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(port, process, export.parent / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()[-2000:]
        time.sleep(0.5)
    raise AssertionError(f"the service did not come up: {log.read_text()[-2000:]}")


def ask(service: str, **query: object) -> list[dict]:
    body = json.dumps({"modality": "image", "num_images": 3, "indice_name": "emoart"} | query).encode()
    request = urllib.request.Request(f"{service}/knn-service", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_every_vector_finds_its_own_picture(export: Path, service: str) -> None:
    for number in (0, 1):
        vectors = np.load(export / "img_emb" / f"img_emb_{number}.npy").astype(np.float32)
        paths = pl.read_parquet(export / "metadata" / f"metadata_{number}.parquet")["image_path"]
        for vector, path in zip(vectors, paths, strict=True):
            found = ask(service, embedding_input=vector.tolist(), num_images=12)
            best = max(row["similarity"] for row in found)
            assert best == pytest.approx(1.0, abs=1e-2)
            assert path in {row["image_path"] for row in found if row["similarity"] > best - 1e-3}


def test_a_picture_and_words_find_pictures_with_their_captions(export: Path, service: str) -> None:
    picture = next((export / "images").rglob("*.png"))
    for query in ({"image": base64.b64encode(picture.read_bytes()).decode()}, {"text": "a storm over the sea"}):
        found = ask(service, **query)
        assert found
        for row in found:
            assert row["caption"].startswith("a picture of ")
            assert row["label"] in ("awe", "fear")
            assert base64.b64decode(row["image"])


def test_only_the_loopback_address_answers(service: str) -> None:
    port = int(service.rpartition(":")[2])
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
    assert f"0100007F:{port:04X}" in addresses
    assert f"00000000:{port:04X}" not in addresses
