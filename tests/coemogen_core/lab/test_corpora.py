"""The lab's corpora stand in the layouts of EmoSet and WikiArt."""

import json
from pathlib import Path

import pytest

from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.corpora import read_truth, write_paintings, write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("world") / "photos", 80, seed=1)


def test_photos_have_emoset_layout(photos: Path) -> None:
    splits = {split: json.loads((photos / f"{split}.json").read_text()) for split in ("train", "val", "test")}
    rows = [row for split in splits.values() for row in split]
    assert len(rows) == 80
    assert len({row[1] for row in rows}) == 80
    assert len(splits["train"]) == 64
    for emotion, image_id, image, annotation in rows:
        assert (photos / image).is_file()
        content = json.loads((photos / annotation).read_text())
        assert (content["image_id"], content["emotion"]) == (image_id, emotion)
        assert 0 <= content["brightness"] <= 1
        assert 0 <= content["colorfulness"] <= 1
    info = json.loads((photos / "info.json").read_text())
    assert list(info["emotion"]["label2idx"]) == list(EMOTIONS)
    assert set(info) == {"emotion", "brightness", "colorfulness", "scene", "object", "facial_expression", "human_action"}


def test_some_photos_are_ambiguous(photos: Path) -> None:
    renderings = [scene.rendering for scene in read_truth(photos).values()]
    assert 0 < renderings.count("ambiguous") < 0.35 * len(renderings)


def test_writing_again_changes_nothing(photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    write_photos(photos, 80, seed=1)
    assert before == {path: path.stat().st_mtime_ns for path in photos.rglob("*")}


def test_paintings_have_wikiart_layout_and_rare_emotions(tmp_path: Path) -> None:
    root = write_paintings(tmp_path / "paintings", 120, seed=2)
    files = sorted(root.rglob("*.jpg"))
    assert len(files) == 120
    assert len({file.parent.name for file in files}) >= 4
    assert all("_" in file.stem and file.parent.parent == root for file in files)
    emotions = [scene.emotion for scene in read_truth(root).values()]
    assert 0.2 < emotions.count(None) / 120 < 0.47
    assert emotions.count("excitement") + emotions.count("disgust") < 15
