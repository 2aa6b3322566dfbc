"""What a corpus offers a training, and where its pictures went when it offers nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decisions import CurationRecipe, DecisionsRecord
from coemogen_core.curation.selection import Selection
from coemogen_core.curation.training_pictures import training_pictures
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Decisions
from tests.coemogen_core.curation.small_tables import decisions_frame, image_row, write_images

RECIPE = CurationRecipe(dataset="art", selection=Selection(), captions=CaptionPolicy(choose="latest"), encoder_id="clip-a")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def record(workspace: Workspace, rows: Sequence[tuple[str, str, str | None]]) -> DecisionsRecord:
    """A version of one part: emotion, reason and split of every picture."""
    images = [image_row(emotion, number, label=emotion, split=split) for number, (emotion, _, split) in enumerate(rows)]
    decided = [
        {"image_id": image["image_id"], "kept": reason == "kept", "reason": reason, "label": emotion}
        for image, (emotion, reason, _) in zip(images, rows, strict=True)
    ]
    parts: tuple[str, ...] = ()
    if rows:
        parts = ("part-a",)
        write_images(workspace, "source", "part-a", images)
        frame = Decisions.cast(decisions_frame(decided).select(Decisions.column_names()))
        workspace.table("decisions", "art", "v1").write_part("part-a", frame, Decisions)
    return DecisionsRecord(version="v1", source="source", parts=parts, captions="0", recipe=RECIPE)


def test_kept_pictures_of_the_splits_in_the_order_of_the_emotions(workspace: Workspace) -> None:
    rows = [("fear", "kept", "train"), ("awe", "kept", "train"), ("awe", "kept", "test"), ("anger", "no caption", "train")]
    version = record(workspace, rows)
    assert list(training_pictures(workspace, version, ("train",)).items()) == [("awe", 1), ("fear", 1)]
    assert training_pictures(workspace, version, None) == {"awe": 2, "fear": 1}
    assert training_pictures(workspace, version, ("test",)) == {"awe": 1}


def test_pictures_without_a_split_are_trained_on_but_for_a_tenth(workspace: Workspace) -> None:
    version = record(workspace, [("awe", "kept", None)] * 60)
    assert 48 <= training_pictures(workspace, version, ("train",))["awe"] < 60


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("awe", "kept", "test")] * 2, r"art v1 kept 2 pictures, but none of the split train \(it has test 2\): name another .* or null"),
        (
            [("awe", "no caption", None)] * 2 + [("fear", "low confidence", None)],
            r"art v1 kept none of its 3 candidates \(2 no caption, 1 low confidence\): change what dropped them",
        ),
        ([], "art v1 has no candidates: source 'source' has no picture that could be read"),
    ],
)
def test_the_step_that_left_nothing_is_named(workspace: Workspace, rows: list[tuple[str, str, str | None]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_pictures(workspace, record(workspace, rows), ("train",))
