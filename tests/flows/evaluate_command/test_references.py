"""What the pictures are measured against: a corpus' test split, or a source of a workspace."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.picture_sets import open_pictures
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics
from tests.flows.evaluate_command.drawn_pictures import draw, draw_set


def test_an_emoset_as_reference_is_taken_by_its_test_split(measure: Callable[..., Metrics], tmp_path: Path) -> None:
    root = tmp_path / "emoset"
    for split, count in (("train", 3), ("test", 2)):
        entries = []
        for index, emotion in enumerate(EMOTIONS):
            for k in range(count):
                path = f"image/{emotion}/{split}_{k}.jpg"
                draw(root / path, k if split == "train" else 100 + k, emotion=index)
                entries.append([emotion, f"{split}_{k}", path, f"annotation/{emotion}/{split}_{k}.json"])
        (root / f"{split}.json").write_text(json.dumps(entries))
    assert open_pictures(str(root), minimum=16).split == "test"
    assert sum(open_pictures(str(root), minimum=17).counts()) == 40
    assert sum(open_pictures(str(root), "emogen", minimum=16).counts()) == 40
    images = draw_set(tmp_path / "images", 2)
    found = measure(images, "minimum_reference=16", reference=str(root)).reference
    assert found is not None
    assert (found.images, found.split) == (16, "test")


def test_a_source_of_a_workspace_as_reference_keeps_its_features(measure: Callable[..., Metrics], real: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for part in plan_source(Workspace(str(workspace)), "photos", "image_folder", str(real)):
        ingest_part(Workspace(str(workspace)), "photos", part)
    images = draw_set(tmp_path / "images", 3)
    found, plain = (measure(images, reference=reference) for reference in (f"{workspace}/images/photos", str(real)))
    assert found.reference is not None
    assert (found.reference.source, found.reference.images) == ("photos", 64)
    assert found.methods["images"].fid.value == pytest.approx(plain.methods["images"].fid.value, rel=1e-5)
    assert list((tmp_path / "workspace" / "evaluation").rglob("part-*.safetensors"))


def test_pictures_of_some_emotions_are_compared_with_real_ones_of_those(
    measure: Callable[..., Metrics], real: Path, tmp_path: Path
) -> None:
    """A set of two emotions is not worse for the six that nobody asked of it; a workspace's source and a folder agree."""
    images = draw_set(tmp_path / "images", 4, emotions=("awe", "sadness"))
    of_two = draw_set(tmp_path / "two", 8, first=100, emotions=("awe", "sadness"))
    workspace = tmp_path / "workspace"
    for part in plan_source(Workspace(str(workspace)), "photos", "image_folder", str(real)):
        ingest_part(Workspace(str(workspace)), "photos", part)
    everything, same, source = (measure(images, reference=str(each)) for each in (real, of_two, workspace / "images" / "photos"))
    for found in (everything, same, source):
        assert found.reference is not None
        assert (found.reference.images, set(found.reference.per_emotion)) == (16, {"awe", "sadness"})
    for name in ("fid", "kid", "cmmd", "precision", "recall"):
        values = [found.methods["images"].estimate(name).value for found in (everything, same, source)]  # type: ignore[arg-type]
        assert values == pytest.approx([values[1]] * 3, rel=1e-4)
    with pytest.raises(ValueError, match=r"has no pictures of amusement: nothing to compare with"):
        measure(draw_set(tmp_path / "one", 2, emotions=("amusement",)), reference=str(of_two))
