"""The whole demo corpus through the real vLLM: flows with a server of their own, which has a key, structured output on, no picture lost.

The captioner is the lab's with other weights, which have learned the structured answer (CARD.md says why it is not the package's own).
"""

import json
import secrets
import shutil
from pathlib import Path

import polars as pl
import psutil
import pytest

from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
from coemogen_core.curation.decisions import read_record, resolve_version
from coemogen_core.lab import models_folder
from coemogen_core.lab.corpora import write_paintings, write_photos
from coemogen_core.lab.scenes.captions import named_content
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.command_line.demo import PAINTINGS, PHOTOS, SEED
from flows.params import BuildEmoartParams, BuildEmosetParams, load_params

KEY = secrets.token_hex(16)
SETTINGS = OwnServerSettings(model="lab:captioner", startup_timeout_s=300)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.skipif(not SETTINGS.python.exists(), reason=f"no vLLM at {SETTINGS.environment}: make captioner builds it"),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo's photos and paintings, captioned by vLLMs that the flows start and stop."""
    root = tmp_path_factory.mktemp("corpus")
    model = shutil.copytree(models_folder("captioner"), root / "captioner")
    shutil.copy(Path(__file__).parent / "structured_captioner" / "model.safetensors", model)
    photos = {"name": "photos", "layout": "emoset", "root": str(write_photos(root / "photos", PHOTOS, SEED))}
    paintings = {"name": "paintings", "layout": "wikiart", "root": str(write_paintings(root / "paintings", PAINTINGS, SEED + 1))}
    own = {"model": str(model), "max_model_len": 512, "max_num_seqs": 64, "extra_arguments": ["--api-key", KEY]}
    changed = {
        "workspace": str(root / "workspace"),
        "caption": {"model": str(model), "answer": "structured.v1", "max_new_tokens": 320},
        "captioner": {"backend": "server", "own": own, "concurrency": 64},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setenv("OPENAI_API_KEY", KEY)
        build_emoset(load_params("lab", BuildEmosetParams, {**changed, "source": photos}))
        build_emoart(load_params("lab", BuildEmoartParams, {**changed, "source": paintings, "labelled_source": "photos"}))
    return Workspace(str(root / "workspace"))


@pytest.mark.parametrize(("source", "dataset"), [("photos", "emoset"), ("paintings", "emoart")])
def test_no_picture_is_lost(workspace: Workspace, source: str, dataset: str) -> None:
    version = resolve_version(workspace, dataset)
    selection = read_record(workspace, dataset, version).recipe.selection
    parts = workspace.table("images", source).parts()
    wanted = {image_id for part in parts for image_id in selection.wanted(workspace, source, part)["image_id"]}
    assert len(wanted) == PHOTOS if source == "photos" else len(wanted) > PAINTINGS / 3
    attempts = workspace.table("captions", source).read()
    assert set(attempts["image_id"]) == wanted
    captioned = attempts.filter(pl.col("caption").is_not_null())
    assert captioned["image_id"].is_unique().all()
    assert captioned.height > 0.97 * len(wanted)
    failed = attempts.filter(pl.col("caption").is_null())
    assert failed["error"].str.starts_with("rejected: ").all()  # every other one was turned down by a lint, and says why


def test_answers_have_all_fields_and_belong_to_their_pictures(workspace: Workspace) -> None:
    captioned = workspace.table("captions", "photos").read().filter(pl.col("caption").is_not_null())
    assert captioned["fields"].null_count() == 0
    truth = workspace.table("images", "photos").read(["image_id", "attributes"])
    rows = captioned.join(truth, on="image_id")
    right = [
        named_content(caption) in json.loads(attributes)["object"]
        for caption, attributes in rows.select("caption", "attributes").iter_rows()
    ]
    assert sum(right) > 0.4 * len(right)  # it is weak at this (CARD.md); a shuffled table would give 0.03


def test_the_server_is_gone(workspace: Workspace) -> None:
    assert (Path(workspace.uri) / "logs" / "captioner.log").exists()
    model = str(Path(workspace.uri).parent / "captioner")
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if model in command]
