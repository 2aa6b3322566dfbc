import hashlib

import polars as pl
import pytest

from coemogen_core.data import picture_index
from coemogen_core.data.picture_index import INDEX, open_index, pictures_table, update_index
from coemogen_core.data.standing_rows import FRUITLESS, standing_rows
from schemas.tables import Pictures

pytestmark = pytest.mark.every_storage


def picture(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def list_pictures(workspace, source: str, part: str, numbers) -> None:
    rows = {"image_id": [picture(number) for number in numbers], "width": [40 + number for number in numbers], "height": 30}
    pictures_table(workspace, source).write_part(part, pl.DataFrame(rows), Pictures)


def places(workspace, *numbers: int) -> set[tuple[int, str, str]]:
    by_id = {picture(number): number for number in numbers}
    found = open_index(workspace).places(pl.Series([picture(number) for number in numbers], dtype=pl.String))
    return {(by_id[image_id], source, part) for image_id, source, part in found.iter_rows()}


@pytest.fixture
def small_runs(monkeypatch) -> None:
    """Many runs and many ranges, as with millions of pictures."""
    monkeypatch.setattr(picture_index, "RUN_ROWS", 7)
    monkeypatch.setattr(picture_index, "RANGE_ROWS", 3)


def test_a_picture_is_found_wherever_it_stands(workspace, small_runs):
    list_pictures(workspace, "photos", "part-a", range(20))
    list_pictures(workspace, "photos", "part-b", range(20, 30))
    list_pictures(workspace, "art", "part-c", [5, 25, 40])
    assert update_index(workspace) == 33
    assert places(workspace, 5, 25, 29, 40, 99) == {
        (5, "photos", "part-a"),
        (5, "art", "part-c"),
        (25, "photos", "part-b"),
        (25, "art", "part-c"),
        (29, "photos", "part-b"),
        (40, "art", "part-c"),
    }
    assert open_index(workspace).size(picture(29)) == (69, 30)
    assert open_index(workspace).size(picture(99)) is None


def test_an_update_reads_new_lists_alone_and_forgets_those_that_are_gone(workspace, small_runs, monkeypatch):
    list_pictures(workspace, "photos", "part-a", range(10))
    list_pictures(workspace, "photos", "part-b", range(10, 20))
    update_index(workspace)
    pictures_table(workspace, "photos").remove_part("part-a")
    list_pictures(workspace, "photos", "part-c", range(15, 25))
    read = []
    read_part = picture_index.Table.read_part
    monkeypatch.setattr(picture_index.Table, "read_part", lambda table, name, *more: read.append(name) or read_part(table, name, *more))
    assert update_index(workspace) == 20
    assert read == ["photos/part-c"]
    assert places(workspace, 3, 17, 24) == {(17, "photos", "part-b"), (17, "photos", "part-c"), (24, "photos", "part-c")}


def test_a_part_that_was_gone_and_came_back_is_found_and_an_update_then_has_no_news(workspace, small_runs, monkeypatch):
    for part, first in (("part-a", 0), ("part-b", 10), ("part-c", 20)):
        list_pictures(workspace, "photos", part, range(first, first + 10))
    update_index(workspace)
    pictures_table(workspace, "photos").remove_part("part-a")
    assert update_index(workspace) == 20
    assert places(workspace, 3, 13, 23) == {(13, "photos", "part-b"), (23, "photos", "part-c")}
    with monkeypatch.context() as patch:
        patch.delattr(picture_index, "written_whole")
        assert update_index(workspace) == 20
    list_pictures(workspace, "photos", "part-a", range(10))
    assert update_index(workspace) == 30
    assert places(workspace, 3, 13) == {(3, "photos", "part-a"), (13, "photos", "part-b")}


def test_an_update_without_news_writes_nothing(workspace, monkeypatch):
    list_pictures(workspace, "photos", "part-a", range(3))
    update_index(workspace)
    monkeypatch.delattr(picture_index, "written_whole")
    assert update_index(workspace) == 3


def test_a_lost_index_is_made_anew_and_old_ones_go(workspace, monkeypatch):
    for count, part in enumerate(("part-a", "part-b", "part-c")):
        list_pictures(workspace, "photos", part, range(3 * count, 3 * count + 3))
        update_index(workspace)
    assert len(workspace.list_folders(*INDEX)) == 3
    monkeypatch.setattr(picture_index, "KEPT_S", -1)
    list_pictures(workspace, "photos", "part-d", [9])
    update_index(workspace)
    assert len(workspace.list_folders(*INDEX)) == 1
    for folder in workspace.list_folders(*INDEX):
        workspace.remove_folder(*INDEX, folder)
    picture_index._opened.clear()
    assert places(workspace, 1) == set()
    assert update_index(workspace) == 10
    assert places(workspace, 1, 8) == {(1, "photos", "part-a"), (8, "photos", "part-c")}


def test_a_workspace_without_pictures(workspace):
    assert update_index(workspace) == 0
    assert places(workspace, 1) == set()
    assert open_index(workspace).size(picture(1)) is None
    list_pictures(workspace, "photos", "part-empty", [])
    assert update_index(workspace) == 0
    assert places(workspace, 1) == set()


def test_ids_that_begin_alike_are_told_apart(workspace):
    first, second = "ab" * 8 + "00" * 24, "ab" * 8 + "11" * 24
    rows = pl.DataFrame({"image_id": [first, second], "width": [1, 2], "height": [3, 4]})
    pictures_table(workspace, "photos").write_part("part-a", rows, Pictures)
    update_index(workspace)
    assert [open_index(workspace).size(image_id) for image_id in (first, second)] == [(1, 3), (2, 4)]
    assert open_index(workspace).places(pl.Series(["ab" * 8 + "22" * 24])).is_empty()


def test_rows_come_from_the_parts_with_most_of_them(workspace):
    list_pictures(workspace, "photos", "part-a", range(10))
    list_pictures(workspace, "photos", "part-b", range(8, 12))
    list_pictures(workspace, "photos", "part-lost", range(30))
    list_pictures(workspace, "photos", "part-never", range(11, 12))
    update_index(workspace)
    made = {"part-a": range(9), "part-b": range(8, 12)}
    asked = []

    def read(source: str, part: str) -> pl.DataFrame | None:
        asked.append((source, part))
        return pl.DataFrame({"image_id": [picture(number) for number in made[part]], "value": part}) if part in made else None

    wanted = pl.DataFrame({"image_id": [picture(number) for number in range(12)]})
    rows = standing_rows(workspace, wanted, read)
    assert asked == [("photos", "part-lost"), ("photos", "part-a"), ("photos", "part-b")]
    assert dict(rows.sort("value").iter_rows()) == {picture(number): "part-a" if number < 9 else "part-b" for number in range(12)}
    assert standing_rows(workspace, wanted, lambda source, part: None) is None
    assert standing_rows(workspace, wanted[:9], read, but=("photos", "part-a")).height == 1


@pytest.mark.parametrize("file", ["current.json", "parts.json", "keys", "rows"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_index_counts_as_none_and_is_made_anew(workspace, file, share):
    list_pictures(workspace, "photos", "part-a", range(8))
    update_index(workspace)
    (folder,) = workspace.list_folders(*INDEX)
    place = (*INDEX, file) if file == "current.json" else (*INDEX, folder, file)
    content = workspace.read_file(*place)
    workspace.write_file(content[: int(share * len(content))], *place)
    picture_index._opened.clear()
    assert places(workspace, 1) == set()
    assert update_index(workspace) == 8
    assert places(workspace, 1) == {(1, "photos", "part-a")}


def test_an_update_leaves_alone_what_another_one_is_writing(workspace, monkeypatch):
    list_pictures(workspace, "photos", "part-a", range(3))
    merge = picture_index._merge

    def beside_another(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(picture_index, "_merge", merge)
            list_pictures(workspace, "photos", "part-b", range(3, 5))
            assert update_index(workspace) == 5  # from its beginning to its end
        return merge(*arguments)

    monkeypatch.setattr(picture_index, "_merge", beside_another)
    assert update_index(workspace) == 3
    monkeypatch.setattr(picture_index, "_merge", merge)
    assert update_index(workspace) == 5
    assert places(workspace, 1, 4) == {(1, "photos", "part-a"), (4, "photos", "part-b")}


def test_an_index_that_is_being_written_is_not_removed(workspace):
    list_pictures(workspace, "photos", "part-a", range(3))
    workspace.write_file(b"half", *INDEX, "of-another", "keys")
    update_index(workspace)
    assert "of-another" in workspace.list_folders(*INDEX)


def test_a_stage_that_never_dealt_with_a_picture_is_not_asked_in_every_place(workspace):
    for number in range(3 * FRUITLESS):
        list_pictures(workspace, "photos", f"part-{number:02d}", [0, 1])
    update_index(workspace)
    asked = []
    last = f"part-{FRUITLESS - 1:02d}"

    def read(_: str, part: str) -> pl.DataFrame | None:
        asked.append(part)
        return pl.DataFrame({"image_id": [picture(0)], "value": part}) if part == last else None

    rows = standing_rows(workspace, pl.DataFrame({"image_id": [picture(0), picture(1)]}), read)
    assert rows["value"].to_list() == [last]
    assert len(asked) == 2 * FRUITLESS
