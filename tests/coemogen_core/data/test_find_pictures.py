import hashlib

import pytest

from coemogen_core.data.find_pictures import find_pictures
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.picture_index import update_index
from coemogen_core.data.plan import finish_source, plan_source
from coemogen_core.storage.workspace import Table
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import put

pytestmark = pytest.mark.every_storage


def picture_id(number: int) -> str:
    return hashlib.sha256(jpeg(number)).hexdigest()


@pytest.fixture
def root(tmp_path) -> str:
    for number in range(12):
        put(str(tmp_path / "source"), f"awe/{number:02d}.jpg", jpeg(number))
    return str(tmp_path / "source")


def build(workspace, root: str) -> list[str]:
    parts = plan_source(workspace, "photos", "image_folder", root, part_size=4)
    for part in parts:
        ingest_part(workspace, "photos", part)
    update_index(workspace)
    finish_source(workspace, "photos", 4)
    return parts


def test_pictures_are_found_in_their_parts_alone(workspace, root, monkeypatch):
    parts = build(workspace, root)
    wanted = [picture_id(number) for number in (1, 10)]
    opened = []
    iter_part = Table.iter_part
    monkeypatch.setattr(Table, "iter_part", lambda table, name, *more: opened.append(name) or iter_part(table, name, *more))
    found = find_pictures(workspace, "photos", [*wanted, "0" * 64], ("image", "label"))
    assert {image_id: (row["image"]["bytes"], row["label"]) for image_id, row in found.items()} == {
        picture_id(number): (jpeg(number), "awe") for number in (1, 10)
    }
    assert len(opened) <= 2 < len(parts)


def test_what_left_the_source_is_not_found(workspace, root, tmp_path):
    build(workspace, root)
    (tmp_path / "source" / "awe" / "03.jpg").unlink()
    build(workspace, root)
    assert set(find_pictures(workspace, "photos", [picture_id(3), picture_id(4)])) == {picture_id(4)}


def test_a_table_that_nobody_indexed_is_looked_through(workspace, root):
    for part in plan_source(workspace, "photos", "image_folder", root, part_size=4):
        ingest_part(workspace, "photos", part)
    assert set(find_pictures(workspace, "photos", [picture_id(7)])) == {picture_id(7)}
