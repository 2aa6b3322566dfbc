"""recaption on the lab's world: chooses by reason, keeps old captions, takes new ones where the policy says so."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from prefect.artifacts import Artifact

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recaption.outcome import read_outcome
from coemogen_core.curation.decisions import read_decisions, resolve_version
from coemogen_core.lab.corpora import write_photos
from coemogen_core.storage.workspace import Workspace
from flows.build_emoset import build_emoset
from flows.params import BuildEmosetParams, RecaptionParams, load_params
from flows.recaption import recaption

pytestmark = pytest.mark.usefixtures("prefect_server")
PHOTOS = 96
SHORT = {"model": "lab:captioner", "max_new_tokens": 6}  # too short for most captions: cut off, and so no captions
LONGER = {"model": "lab:captioner", "max_new_tokens": 48, "temperature": 0.7}


@pytest.fixture(scope="module")
def built(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built dataset in which most pictures have no caption."""
    folder = tmp_path_factory.mktemp("built")
    photos = {"name": "photos", "layout": "emoset", "root": str(write_photos(folder / "photos", PHOTOS, 5))}
    changed = {"workspace": str(folder / "workspace"), "source": photos, "part_size": 50, "caption": SHORT}
    build_emoset(load_params("lab", BuildEmosetParams, changed))
    return folder / "workspace"


@pytest.fixture
def workspace(built: Path, workspace: Workspace) -> Workspace:
    """A copy of it."""
    shutil.copytree(built, workspace.uri)
    return workspace


def again(workspace: Workspace, **changed) -> RecaptionParams:
    values = {"workspace": workspace.uri, "dataset": "emoset", "caption": LONGER, **changed}
    return load_params("lab", RecaptionParams, values)


def test_failed_captions_are_mended_and_the_dataset_has_a_new_version(workspace):
    before = resolve_version(workspace, "emoset")
    old = read_decisions(workspace, "emoset", before)
    without = int((old["reason"] == "no caption").sum())
    assert without > 0
    outcome = recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    assert outcome.chosen == outcome.asked == without
    assert outcome.captioned == outcome.became_current > 0.9 * without
    new = read_decisions(workspace, "emoset", resolve_version(workspace, "emoset"))
    assert outcome.version == resolve_version(workspace, "emoset") != before
    assert int((new["reason"] == "no caption").sum()) == without - outcome.captioned
    assert read_decisions(workspace, "emoset", before).equals(old)  # rolling back is choosing the old version or recipe
    artifact = Artifact.get("recaption-emoset")
    assert artifact is not None
    assert "linted" in str(artifact.data)
    assert str(without) in str(artifact.data)
    again_outcome = recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    assert again_outcome.chosen == without - outcome.captioned


def test_what_a_run_that_broke_off_was_answered_is_not_asked_again(workspace, monkeypatch):
    """The command prints that it goes on where it stopped: with the same pictures, under the same id."""

    def broken(*_: object) -> None:
        raise ConnectionError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr("flows.recaption.decide_corpus", broken)
        with pytest.raises(ConnectionError):
            recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    answered = workspace.table("captions", "photos").read(["image_id", "recipe_id", "attempt"])
    outcome = recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    assert outcome.captioned == outcome.became_current > 0
    assert workspace.table("captions", "photos").read(["image_id", "recipe_id", "attempt"]).equals(answered)
    assert len(workspace.list_folders("recaption", "emoset")) == 1


def test_a_new_caption_becomes_current_only_where_the_policy_says_so(workspace):
    recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    before = read_decisions(workspace, "emoset", resolve_version(workspace, "emoset"))
    warm = {**LONGER, "temperature": 1.5}
    outcome = recaption(again(workspace, caption=warm, reasons={"lowest_alignment": 0.4}))
    rows = read_outcome(workspace, "emoset", outcome.run_id)
    assert rows.height == outcome.chosen > 0
    better = rows.filter(pl.col("new_similarity") > pl.col("similarity_before").fill_null(-1.0))
    assert better.height == outcome.became_current
    assert (
        rows.filter(~pl.col("became_current") & pl.col("similarity_before").is_not_null())
        .select((pl.col("caption_after") == pl.col("caption_before")).all())
        .item()
    )
    after = read_decisions(workspace, "emoset", outcome.version)
    untouched = before.join(rows, on="image_id", how="anti").select("image_id", "caption")
    assert after.join(untouched, on="image_id").select((pl.col("caption") == pl.col("caption_right")).all()).item()


def test_the_latest_policy_takes_the_new_caption_whatever_it_is_like(workspace):
    recaption(again(workspace, reasons={"lowest_alignment": 0.0}))
    latest = CaptionPolicy(choose="latest").model_dump()
    outcome = recaption(again(workspace, caption={**LONGER, "seed": 1}, reasons={"lowest_alignment": 0.3}, current=latest))
    assert outcome.became_current == outcome.captioned > 0


def test_budgets_hold(workspace):
    few = recaption(again(workspace, max_images=5))
    assert (few.chosen, few.asked) == (5, 5)
    assert few.over_budget > 0
    none = recaption(again(workspace, max_minutes=1e-6))
    assert none.chosen > 0
    assert none.asked == 0
    assert not read_outcome(workspace, "emoset", none.run_id)["became_current"].any()


def test_another_encoder_is_refused_before_any_work(workspace, tiny_clip):
    with pytest.raises(ValueError, match="give the encoder that the dataset was built with"):
        recaption(again(workspace, encoder={"model": str(tiny_clip)}))
