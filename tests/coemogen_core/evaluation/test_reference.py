"""Which real images a method is compared with, and what emotion each stands for."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.curation.decide import Thresholds, decide, with_thresholds
from coemogen_core.curation.decisions import DecisionsRecord, read_record
from coemogen_core.data.part_plan import PlannedPart, mark_finished, write_cut
from coemogen_core.evaluation.reference import select_reference, stored_reference
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.curation.small_tables import image_row, write_images

NO_MINIMUM = 1


@pytest.fixture
def art(tmp_path: Path) -> tuple[Workspace, dict[str, tuple]]:
    workspace = Workspace(str(tmp_path))
    return workspace, build_art(workspace)


def decided(workspace: Workspace, **thresholds: float) -> DecisionsRecord:
    recipe = with_thresholds(RECIPE, Thresholds(**thresholds))
    return read_record(workspace, RECIPE.dataset, decide(workspace, SOURCE, PARTS, recipe).version)


def test_paintings_stand_for_what_the_decisions_say(art: tuple[Workspace, dict[str, tuple]]) -> None:
    workspace, pictures = art
    selection = select_reference(workspace, SOURCE, NO_MINIMUM, "corrected", decided(workspace))
    assert (selection.labels, selection.split) == ("classifier", None)  # one artist: all are on one side
    rows = pl.concat([selection.read(workspace, part) for part in selection.parts])
    wanted = {image_id: picture[3] for image_id, picture in pictures.items() if picture[3] not in (None, "disgust") and picture[4] > 0.75}
    assert dict(rows.select("image_id", "label").iter_rows()) == wanted  # filtered out for their captions or not
    assert selection.images == len(wanted) == 16
    assert stored_reference(workspace, selection).counts() == [1, 10, 0, 0, 0, 0, 5, 0]


def test_a_version_with_the_same_pictures_and_labels_is_the_same_reference(art: tuple[Workspace, dict[str, tuple]]) -> None:
    workspace, _ = art
    first, same, other = (
        select_reference(workspace, SOURCE, NO_MINIMUM, "corrected", decided(workspace, **thresholds))
        for thresholds in ({}, {"drop_fraction": 0.5}, {"min_confidence": 0.85})
    )
    assert first.version != same.version
    assert first.identity == same.identity
    assert first.identity != other.identity


def test_the_labels_of_a_source_without_decisions(art: tuple[Workspace, dict[str, tuple]]) -> None:
    workspace, _ = art
    with pytest.raises(ValueError, match="source 'art' has no labelled images"):
        select_reference(workspace, SOURCE, NO_MINIMUM, "corrected")
    with pytest.raises(FileNotFoundError, match="ingest the source 'nowhere' first"):
        select_reference(workspace, "nowhere", NO_MINIMUM, "corrected")


def test_a_folder_without_splits_has_a_held_out_tenth(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    write_images(
        workspace, "folder", "part-a", [image_row(emotion, number, label=emotion) for emotion in ("awe", "fear") for number in range(60)]
    )
    selection = select_reference(workspace, "folder", NO_MINIMUM, "corrected")
    assert (selection.split, selection.labels) == ("test", "source")
    assert 4 <= selection.images <= 24
    assert select_reference(workspace, "folder", 100, "corrected").images == 120
    assert select_reference(workspace, "folder", NO_MINIMUM, "emogen").images == 120


def test_a_test_split_without_some_emotion_is_not_used_alone(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    rows = [image_row("awe", number, label="awe", split="test") for number in range(9)]
    write_images(workspace, "folder", "part-a", [*rows, image_row("fear", 0, label="fear", split="train")])
    assert select_reference(workspace, "folder", NO_MINIMUM, "corrected").split is None


def test_pictures_that_the_source_no_longer_holds_are_no_reference(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    rows = write_images(workspace, "folder", "part-a", [image_row("awe", number, label="awe") for number in range(8)])
    workspace.table("images", "folder").write_part("part-of-another-cut", rows.with_columns(split=pl.lit("test")), Images)
    write_cut(workspace, "folder", 8, [PlannedPart("part-a", "listing", None, "state")])
    mark_finished(workspace, "folder", 8)
    selection = select_reference(workspace, "folder", 9, "corrected")
    assert (selection.split, selection.parts, selection.images) == (None, ("part-a",), 8)


def test_real_images_of_emotions_that_nobody_generates_are_no_reference(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    rows = [image_row(emotion, number, label=emotion) for emotion in ("awe", "fear", "sadness") for number in range(5)]
    write_images(workspace, "folder", "part-a", rows)
    found = select_reference(workspace, "folder", 99, "corrected", emotions=("awe", "fear"))
    assert (found.emotions, found.images) == (("awe", "fear"), 10)
    assert stored_reference(workspace, found).counts() == [0, 5, 0, 0, 0, 0, 5, 0]
    assert found.identity != select_reference(workspace, "folder", 99, "corrected").identity
    assert select_reference(workspace, "folder", 99, "emogen", emotions=("awe", "fear")).images == 15  # as the public code does
    with pytest.raises(ValueError, match="source 'folder' has no images of amusement"):
        select_reference(workspace, "folder", 99, "corrected", emotions=("amusement",))
