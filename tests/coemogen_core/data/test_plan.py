import itertools
import json
import os
import shutil
import uuid
from pathlib import Path

import pytest

from coemogen_core.data import part_cuts
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.part_plan import current_parts, part_name, planned_parts, read_plan
from coemogen_core.data.plan import finish_source, plan_source, retire_parts
from coemogen_core.data.readers.wikiart import WikiArtReader
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.data.pictures import encode, jpeg, scene
from tests.coemogen_core.data.sources import make_emoset, make_wikiart, put

EIGHT = {"train": [("awe", number) for number in range(5)], "val": [("fear", number) for number in range(3)]}


@pytest.fixture
def emoset(tmp_path):
    return make_emoset(str(tmp_path / "emoset"), EIGHT)


def ingest_all(workspace, parts, source="photos"):
    return [ingest_part(workspace, source, part) for part in parts]


def test_parts_are_named_by_their_listing_alone(workspace, emoset):
    parts = plan_source(workspace, "photos", "emoset", emoset, "CC0", part_size=3)
    assert all(part.startswith("part-") and len(part) == 21 for part in parts)
    plans = [read_plan(workspace, "photos", part) for part in parts]
    assert [plan.name for plan in plans] == parts
    assert sum(plan.listed for plan in plans) == 8
    assert all(2 <= plan.listed <= 3 for plan in plans[:-1])
    assert [item.path for plan in plans for item in plan.items][:2] == ["image/awe/awe_00000.jpg", "image/awe/awe_00001.jpg"]
    assert plans[-1].items[-1].split == "val"
    assert plans[0].licence == plans[0].items[0].licence == "CC0"
    assert workspace.table("images", "photos").parts() == []


def test_planning_again_changes_nothing(workspace, emoset):
    first = plan_source(workspace, "photos", "emoset", emoset, part_size=3)
    ingest_all(workspace, first)
    assert plan_source(workspace, "photos", "emoset", emoset, part_size=3) == first
    assert finish_source(workspace, "photos", 3) == []
    assert workspace.table("images", "photos").parts() == sorted(first)


def test_a_copy_elsewhere_has_the_same_parts(workspace, emoset, tmp_path):
    first = plan_source(workspace, "photos", "emoset", emoset)
    copy = shutil.copytree(emoset, tmp_path / "copy", copy_function=shutil.copyfile)  # copyfile: with new modification times
    assert plan_source(Workspace(f"memory://{uuid.uuid4().hex}"), "photos", "emoset", str(copy)) == first


def test_a_relative_root_is_found_from_anywhere(workspace, emoset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (part,) = plan_source(workspace, "photos", "emoset", "emoset")
    monkeypatch.chdir("/")
    assert ingest_part(workspace, "photos", part).rows == 8


def test_another_label_licence_or_file_gives_another_part(workspace, emoset, tmp_path):
    first = plan_source(workspace, "photos", "emoset", emoset, "CC0", part_size=3)
    licensed = plan_source(workspace, "photos", "emoset", emoset, "CC BY 4.0", part_size=3)
    assert not set(first) & set(licensed)
    put(emoset, "image/fear/fear_00002.jpg", jpeg(77) + b"longer")
    changed = plan_source(workspace, "photos", "emoset", emoset, "CC0", part_size=3)
    assert changed[:-1] == first[:-1]
    assert changed[-1] != first[-1]
    put(emoset, "annotation/awe/awe_00000.json", '{"emotion": "awe"}')
    assert plan_source(workspace, "photos", "emoset", emoset, "CC0", part_size=3)[0] != first[0]


def test_lists_in_another_order_give_the_same_parts(workspace, emoset):
    first = plan_source(workspace, "photos", "emoset", emoset, part_size=3)
    for split in ("train", "val"):
        file = Path(emoset, f"{split}.json")
        file.write_text(json.dumps(json.loads(file.read_text())[::-1]))
    assert plan_source(Workspace(f"memory://{uuid.uuid4().hex}"), "photos", "emoset", emoset, part_size=3) == first


def test_a_file_more_at_the_beginning_leaves_the_other_parts_alone(workspace, tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 40)
    first = plan_source(workspace, "art", "wikiart", root, part_size=8)
    put(root, "Abstract/aaron_first.jpg", jpeg(5))
    second = plan_source(workspace, "art", "wikiart", root, part_size=8)
    assert len(set(first) - set(second)) <= 2
    assert len(set(first) & set(second)) >= len(first) - 2


def test_parts_that_left_the_plan_go_when_they_are_retired(workspace, tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 12)
    first = plan_source(workspace, "art", "wikiart", root, part_size=4)
    ingest_all(workspace, first, "art")
    finish_source(workspace, "art", 4)
    (gone,) = read_plan(workspace, "art", first[0]).items[:1]
    Path(root, gone.path).unlink()
    second = plan_source(workspace, "art", "wikiart", root, part_size=4)
    images, rejected = workspace.table("images", "art"), workspace.table("rejected", "art")
    ingest_all(workspace, second[:1], "art")
    assert current_parts(workspace, "art") == sorted(first)  # readers see all of the old while the new is half there
    assert set(first) <= set(images.parts())
    ingest_all(workspace, second, "art")
    assert finish_source(workspace, "art", 4) == sorted(set(first) - set(second)) != []
    assert images.parts() == rejected.parts() == planned_parts(workspace, "art") == current_parts(workspace, "art") == sorted(second)


def test_two_part_sizes_stand_side_by_side(workspace, emoset):
    """Two deployments on one workspace: neither takes the other's parts away."""
    small = plan_source(workspace, "photos", "emoset", emoset, part_size=3)
    ingest_all(workspace, small)
    finish_source(workspace, "photos", 3)
    large = plan_source(workspace, "photos", "emoset", emoset, part_size=8)
    assert current_parts(workspace, "photos") == sorted(small)
    ingest_all(workspace, large)
    assert finish_source(workspace, "photos", 8) == []
    images = workspace.table("images", "photos")
    assert images.parts() == sorted(small + large)
    assert current_parts(workspace, "photos") == large
    assert plan_source(workspace, "photos", "emoset", emoset, part_size=3) == small
    assert finish_source(workspace, "photos", 3) == []
    assert current_parts(workspace, "photos") == sorted(small)
    assert all(outcome.reused for outcome in ingest_all(workspace, small))


def test_a_failed_plan_removes_nothing(workspace, emoset):
    parts = plan_source(workspace, "photos", "emoset", emoset)
    ingest_all(workspace, parts)
    with pytest.raises(FileNotFoundError):
        plan_source(workspace, "photos", "emoset", emoset + "-moved")
    assert workspace.table("images", "photos").parts() == parts


def rewrite(path: Path, data: bytes) -> None:
    """Other bytes of the same number, a minute later."""
    before = path.stat()
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, (before.st_mtime + 60, before.st_mtime + 60))


def test_a_rewritten_file_of_the_same_size_is_noticed(workspace, tmp_path):
    root = str(tmp_path / "pictures")
    put(root, "awe/a.bmp", encode(scene(seed=1), "BMP"))
    put(root, "awe/b.bmp", encode(scene(seed=2), "BMP"))
    first = plan_source(workspace, "photos", "image_folder", root)
    ingest_all(workspace, first)
    rewrite(Path(root, "awe/a.bmp"), encode(scene(seed=3), "BMP"))
    second = plan_source(workspace, "photos", "image_folder", root)
    assert second != first
    ingest_all(workspace, second)
    finish_source(workspace, "photos")
    assert workspace.table("images", "photos").read(["image"])["image"].struct.field("bytes")[0] == encode(scene(seed=3), "BMP")
    assert plan_source(workspace, "photos", "image_folder", root) == second


def test_a_rewritten_annotation_of_the_same_size_is_noticed(workspace, emoset):
    first = plan_source(workspace, "photos", "emoset", emoset)
    ingest_all(workspace, first)
    path = Path(emoset, "annotation/awe/awe_00001.json")
    rewrite(path, path.read_bytes().replace(b"0.4", b"0.9"))
    second = plan_source(workspace, "photos", "emoset", emoset)
    assert second != first
    ingest_all(workspace, second)
    finish_source(workspace, "photos")
    assert workspace.table("images", "photos").read(["attributes"])["attributes"].str.contains("0.9").sum() == 1


def test_touched_files_are_no_change(workspace, emoset):
    put(emoset, "image/awe/awe_00000.jpg", b"broken")
    put(emoset, "image/awe/awe_00001.jpg", jpeg(9))
    put(emoset, "image/awe/awe_00002.jpg", jpeg(9))
    first = plan_source(workspace, "photos", "emoset", emoset)
    ingest_all(workspace, first)
    for name in ("awe_00000", "awe_00001", "awe_00002"):
        os.utime(f"{emoset}/image/awe/{name}.jpg", (1, 1))
    assert plan_source(workspace, "photos", "emoset", emoset) == first
    assert all(outcome.reused for outcome in ingest_all(workspace, first))


@pytest.mark.parametrize("source", ["", "../up", "a/b", ".hidden", "_plan"])
def test_source_names_stay_in_the_workspace(workspace, emoset, source):
    with pytest.raises(ValueError, match="cannot name a folder"):
        plan_source(workspace, source, "emoset", emoset)


def test_part_size_is_bounded(workspace, emoset):
    with pytest.raises(ValueError, match="part_size is 0"):
        plan_source(workspace, "photos", "emoset", emoset, part_size=0)


def test_parts_are_bounded_in_bytes_too(workspace, tmp_path, monkeypatch):
    root = make_wikiart(str(tmp_path / "art"), 6)
    size = Path(root, "Cubism/juan-gris_still-life-0.jpg").stat().st_size
    monkeypatch.setattr(part_cuts, "MAX_PART_BYTES", int(size * 2.5))
    parts = plan_source(workspace, "art", "wikiart", root)
    listed = [read_plan(workspace, "art", part).listed for part in parts]
    assert sum(listed) == 6
    assert max(listed) == 2


def test_part_name():
    assert part_name("listing-0123456789ab") == part_name("listing-0123456789ab")
    assert len({part_name(*names) for names in (("a",), ("b",), ("a", "content-1"), ("a", "content-2"))}) == 4


def test_a_listing_that_breaks_off_leaves_the_earlier_plan(workspace, tmp_path, monkeypatch):
    root = make_wikiart(str(tmp_path / "art"), 3)
    before = plan_source(workspace, "art", "wikiart", root, part_size=2)
    make_wikiart(root, 8)
    list_items = WikiArtReader.list_items

    def broken_off(self):
        yield from itertools.islice(list_items(self), 7)
        raise ConnectionResetError("the store hung up")

    monkeypatch.setattr(WikiArtReader, "list_items", broken_off)
    with pytest.raises(ConnectionResetError):
        plan_source(workspace, "art", "wikiart", root, part_size=2)
    assert planned_parts(workspace, "art") == sorted(before)


def bitmaps(root: str, seeds: dict[str, int]) -> None:
    """Pictures of one size in bytes, whatever they show; those that stand there already are rewritten, a minute later."""
    for name, seed in seeds.items():
        path, data = Path(root, "awe", f"{name}.bmp"), encode(scene(seed=seed), "BMP")
        if not path.exists():
            put(root, f"awe/{name}.bmp", data)
        elif path.read_bytes() != data:
            rewrite(path, data)


def run_all(workspace, root: str, part_size: int = 1000) -> list[str]:
    parts = plan_source(workspace, "photos", "image_folder", root, part_size=part_size)
    ingest_all(workspace, parts)
    finish_source(workspace, "photos", part_size)
    return parts


def ids(workspace, parts: list[str]) -> set[str]:
    return set(workspace.table("images", "photos").read(["image_id"], parts)["image_id"])


def test_a_name_that_comes_back_with_other_content_is_another(workspace, tmp_path):
    root = str(tmp_path / "pictures")
    bitmaps(root, {"a": 1, "b": 2})
    first = run_all(workspace, root)
    bitmaps(root, {"c": 3})
    run_all(workspace, root)
    Path(root, "awe/c.bmp").unlink()
    bitmaps(root, {"a": 4})  # the listing is that of the first time again
    third = run_all(workspace, root)
    assert third != first
    assert len(ids(workspace, third)) == 2
    bitmaps(root, {"c": 3})
    run_all(workspace, root)
    Path(root, "awe/c.bmp").unlink()
    assert run_all(workspace, root) == third  # the same content keeps its name


def test_a_rewritten_file_is_noticed_by_a_plan_of_another_part_size(workspace, tmp_path):
    root = str(tmp_path / "pictures")
    bitmaps(root, {"a": 1, "b": 2})
    first = run_all(workspace, root)
    before = ids(workspace, first)
    bitmaps(root, {"a": 3})
    other = run_all(workspace, root, part_size=500)
    assert other != first
    assert len(ids(workspace, other) - before) == 1
    assert run_all(workspace, root) == other


def test_parts_that_a_current_version_names_stay_until_it_is_no_longer_current(workspace, tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 4)
    first = plan_source(workspace, "art", "wikiart", root)
    ingest_all(workspace, first, "art")
    finish_source(workspace, "art")
    put(root, "Abstract/aaron_first.jpg", jpeg(5))
    second = plan_source(workspace, "art", "wikiart", root)
    ingest_all(workspace, second, "art")
    assert finish_source(workspace, "art", in_use=first) == []
    assert workspace.table("images", "art").parts() == sorted(first + second)
    assert current_parts(workspace, "art") == sorted(second)
    assert retire_parts(workspace, "art") == first
    assert (
        workspace.table("images", "art").parts() == workspace.table("rejected", "art").parts() == planned_parts(workspace, "art") == second
    )
