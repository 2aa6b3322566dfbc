import hashlib
from pathlib import Path

import datasets
import polars as pl
import pytest
import yaml

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import read_decisions
from coemogen_core.publication.publication import publish, publish_part
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art

pytestmark = pytest.mark.every_storage


@pytest.fixture
def version(workspace):
    build_art(workspace)
    return decide(workspace, SOURCE, PARTS, RECIPE).version


def test_published_rows_are_the_kept_ones_with_their_pictures(workspace, version):
    publication = publish(workspace, "emoart", version, SOURCE)
    rows = workspace.table("curated", "emoart", version, "train").read()
    kept = read_decisions(workspace, "emoart", version).filter("kept")
    assert set(rows["image_id"]) == set(kept["image_id"])
    assert publication.manifest.rows == rows.height == kept.height == 12
    assert [hashlib.sha256(image["bytes"]).hexdigest() for image in rows["image"]] == rows["image_id"].to_list()
    joined = rows.join(kept, on="image_id", suffix="_decided")
    for column in ("label", "confidence", "caption", "similarity"):
        assert joined[column].equals(joined[f"{column}_decided"], check_names=False)
    assert set(rows["style"]) == {"Baroque", "Cubism"}


def test_manifest_describes_every_file(workspace, version):
    manifest = publish(workspace, "emoart", version, SOURCE).manifest
    assert {file.file for file in manifest.files} == {f"train/{part}.parquet" for part in PARTS} | {"README.md"}
    for file in manifest.files:
        data = workspace.read_file("curated", "emoart", version, file.file)
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sum(file.rows or 0 for file in manifest.files) == 12


def test_publishing_again_changes_nothing(workspace, version):
    first = publish(workspace, "emoart", version, SOURCE)
    again = publish(workspace, "emoart", version, SOURCE)
    assert all(part.reused for part in again.parts)
    assert not any(part.reused for part in first.parts)
    assert again.manifest == first.manifest


def test_the_same_inputs_give_the_same_bytes_killed_or_not(tmp_path):
    published = []
    for name in ("a", "b"):
        workspace = Workspace(str(tmp_path / name))
        build_art(workspace)
        version = decide(workspace, SOURCE, PARTS, RECIPE).version
        if name == "b":  # a run that ended after one part, before the manifest
            from coemogen_core.curation.decisions import read_record

            publish_part(workspace, read_record(workspace, "emoart", version), PARTS[1])
        publish(workspace, "emoart", version, SOURCE)
        folder = tmp_path / name / "curated" / "emoart" / version
        published.append({path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})
    assert published[0] == published[1]
    assert set(published[0]) == {"README.md", "manifest.json", *(f"{part}.parquet" for part in PARTS)}


@pytest.mark.parametrize("by", ["folder", "parquet"])
def test_opens_with_hugging_face_datasets(tmp_path, by):
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    folder = publish(workspace, "emoart", version, SOURCE).uri
    cache = str(tmp_path / "cache")
    if by == "folder":
        loaded = datasets.load_dataset(folder, split="train", cache_dir=cache)
    else:
        loaded = datasets.load_dataset("parquet", data_files=f"{folder}/train/*.parquet", split="train", cache_dir=cache)
    assert loaded.num_rows == 12
    assert isinstance(loaded.features["image"], datasets.Image)
    assert loaded[0]["image"].size == (48, 40)
    assert set(loaded["label"]) == {"awe", "fear"}


def test_opens_when_a_part_has_nothing_to_publish(tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    part = "part-00002-cccccccc"
    for table in (("images", SOURCE), ("emotion_scores", SOURCE, RECIPE.selection.classifier_id)):
        data = workspace.table(*table).read_part(PARTS[0]).clear()
        from schemas.tables import EmotionScores, Images

        workspace.table(*table).write_part(part, data, Images if table[0] == "images" else EmotionScores)
    version = decide(workspace, SOURCE, [*PARTS, part], RECIPE).version
    folder = publish(workspace, "emoart", version, SOURCE).uri
    assert datasets.load_dataset(folder, split="train", cache_dir=str(tmp_path / "cache")).num_rows == 12


def test_card_says_what_a_user_needs(workspace, version):
    publish(workspace, "emoart", version, SOURCE)
    card = workspace.read_file("curated", "emoart", version, "README.md").decode()
    _, header, body = card.split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train/part-*.parquet"}]}]
    assert facts["size_categories"] == ["n<1K"]
    for line in (
        f"version `{version}`",
        "12 of 21 candidate pictures",
        "| confidence | greater than 0.75 |",
        "the lowest 20 % of each emotion",
        "| low alignment | 3 | 12 |",
        "| awe | 10 | 8 |",
        "| art | not stated by the source |",
        "| art | CC0 |",
        "model `m\\|1`",
        "Not collected: excitement, disgust.",
        "| style | kept | amusement | awe | contentment | anger | fear | sadness |\n|---|---:|---:|---:|---:|---:|---:|---:|\n| ",
    ):
        assert line in body
    assert "{{" not in card
    assert "{%" not in card
    assert str(Path(workspace.uri)) not in card


def test_wrong_names_are_refused(workspace, version):
    with pytest.raises(FileNotFoundError, match="no decisions emoart-0"):
        publish(workspace, "emoart", "emoart-0", SOURCE)
    with pytest.raises(ValueError, match="made on source 'art'"):
        publish(workspace, "emoart", version, "photos")


def test_parquet_opens_in_polars_as_it_is(tmp_path):
    workspace = Workspace(str(tmp_path))
    build_art(workspace)
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    folder = publish(workspace, "emoart", version, SOURCE).uri
    assert pl.scan_parquet(f"{folder}/train/*.parquet").select(pl.len()).collect().item() == 12
