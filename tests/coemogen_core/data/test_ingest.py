import hashlib
import json
import uuid
from pathlib import Path

import datasets
import polars as pl
import pyarrow.parquet as pq
import pytest

from coemogen_core.data import ingest as ingest_module
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.storage import workspace as workspace_module
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images, Rejected
from tests.coemogen_core.data.pictures import encode, jpeg, oriented, png_claiming, scene
from tests.coemogen_core.data.sources import SHARED_DATA, make_emoset, make_wikiart, needs_shared_data, put

pytestmark = pytest.mark.every_storage


def ingest(workspace, layout, root, part_size=1000, source="photos"):
    parts = plan_source(workspace, source, layout, root, "CC0", part_size)
    outcomes = [ingest_part(workspace, source, part) for part in parts]
    return outcomes, workspace.table("images", source).read(parts=parts), workspace.table("rejected", source).read(parts=parts)


def test_rows_hold_the_files_bytes(workspace, tmp_path):
    root = make_emoset(str(tmp_path / "emoset"), {"train": [("awe", 1), ("fear", 2)], "val": [("awe", 3)]})
    outcomes, images, rejected = ingest(workspace, "emoset", root, part_size=2)
    assert [(outcome.rows, outcome.dropped, outcome.reused) for outcome in outcomes] == [(2, 0, False), (1, 0, False)]
    assert rejected.is_empty()
    Images.validate(images)
    row = images.row(1, named=True)
    data = (Path(root) / "image/fear/fear_00002.jpg").read_bytes()
    assert row["image"] == {"bytes": data, "path": "image/fear/fear_00002.jpg"}
    assert row["image_id"] == hashlib.sha256(data).hexdigest()
    assert (row["width"], row["height"], row["label"], row["split"], row["licence"]) == (40, 24, "fear", "train", "CC0")
    assert json.loads(row["attributes"]) == {"brightness": 0.4, "colorfulness": 0.7, "object": ["Tree"]}


def test_remote_sources_are_read_alike(workspace, tmp_path):
    local = ingest(workspace, "wikiart", make_wikiart(str(tmp_path / "art")), source="local")
    remote = ingest(workspace, "wikiart", make_wikiart(f"memory://{uuid.uuid4().hex}"), source="remote")
    assert local[1].equals(remote[1])
    assert [outcome.part for outcome in local[0]] == [outcome.part for outcome in remote[0]]


def hostile_folder(root: Path) -> dict[str, str]:
    """Files of every kind that goes wrong, and the reason that each must get."""
    broken = {
        "empty.jpg": (b"", "empty file"),
        "letter.jpg": (b"Dear Sir or Madam", "not an image"),
        "page.png": (b"<html><script>alert(1)</script>", "not an image"),
        "program.gif": (b"\x7fELF" + bytes(200), "not an image"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n(/tmp/x) (w) file", "not an image"),
        "cut.jpg": (jpeg(3)[:-200], "truncated"),
        "header-only.jpg": (jpeg(4)[:12], "corrupt"),
        "bomb.png": (png_claiming(60_000, 60_000), "too many pixels"),
    }
    for name, (data, _) in broken.items():
        put(str(root), name, data)
    whole = {
        "cmyk.jpg": encode(scene(seed=11).convert("CMYK"), "JPEG"),
        "deep.png": encode(scene(seed=12).convert("L").convert("I;16"), "PNG"),
        "palette.png": encode(scene(seed=13).convert("P"), "PNG", transparency=3),
        "turned.jpg": oriented("JPEG", 6),
        "moving.gif": encode(scene(seed=14), "GIF", save_all=True, append_images=[scene(seed=15)]),
        "really-a-png.jpg": encode(scene(seed=16), "PNG"),
    }
    for name, data in whole.items():
        put(str(root), name, data)
    put(str(root), "twin.jpg", whole["turned.jpg"])
    return {name: reason for name, (_, reason) in broken.items()} | {"twin.jpg": "duplicate"}


def test_hostile_files_are_listed_and_stop_nothing(workspace, tmp_path):
    expected = hostile_folder(tmp_path / "hostile")
    (outcome,), images, rejected = ingest(workspace, "image_folder", str(tmp_path / "hostile"))
    Rejected.validate(rejected)
    assert dict(rejected.select("path", "reason").iter_rows()) == expected
    assert outcome.rows == images.height == 6
    assert outcome.dropped == len(expected)
    sizes = {row["image"]["path"]: (row["width"], row["height"]) for row in images.iter_rows(named=True)}
    assert sizes.pop("turned.jpg") == (24, 40)
    assert set(sizes.values()) == {(40, 24)}
    assert "turned.jpg" in rejected.filter(path="twin.jpg")["detail"].item()
    assert not rejected["detail"].str.strip_chars().eq("").any()


def test_duplicates_keep_the_first_and_name_a_contradiction(workspace, tmp_path):
    for label in ("awe", "fear"):
        put(str(tmp_path / "source"), f"{label}/same.jpg", jpeg(1))
    _, images, rejected = ingest(workspace, "image_folder", str(tmp_path / "source"))
    assert images["label"].to_list() == ["awe"]
    assert "there labelled awe, here fear" in rejected["detail"].item()


def test_a_part_without_a_single_picture_is_a_part(workspace, tmp_path):
    for number in range(3):
        put(str(tmp_path / "source"), f"{number}.jpg", b"nothing")
    (outcome,), images, rejected = ingest(workspace, "image_folder", str(tmp_path / "source"))
    assert (outcome.rows, outcome.dropped) == (0, 3)
    assert images.is_empty()
    assert images.schema == Images.create_empty().schema
    assert rejected.height == 3
    assert ingest_part(workspace, "photos", outcome.part).reused


def test_every_listed_entry_ends_as_one_row(workspace, tmp_path):
    root = make_emoset(str(tmp_path / "emoset"), {"train": [("awe", number) for number in range(9)]})
    entries = json.loads((Path(root) / "train.json").read_text())
    entries.insert(0, ["joy", "x", "image/awe/x.jpg", None])
    entries.insert(4, ["awe", "x", "../x.jpg", None])
    entries.append(["awe", "x", "image/awe/missing.jpg", None])
    put(root, "train.json", json.dumps(entries))
    put(root, "image/awe/awe_00002.jpg", b"")
    put(root, "annotation/awe/awe_00003.json", '{"emotion": "boredom"}')
    (Path(root) / "annotation/awe/awe_00004.json").unlink()
    outcomes, images, rejected = ingest(workspace, "emoset", root, part_size=4)
    assert [outcome.rows + outcome.dropped for outcome in outcomes] == [4, 4, 4]
    assert images.height == 7
    assert images["attributes"].null_count() == 1
    assert sorted(rejected["reason"]) == ["empty file", "missing file", "unknown emotion", "unknown emotion", "unsafe path"]
    assert "annotation/awe/awe_00003.json" in rejected.filter(path="image/awe/awe_00003.jpg")["detail"].item()


def test_a_finished_part_is_not_read_again(workspace, tmp_path, monkeypatch):
    root = make_wikiart(str(tmp_path / "art"))
    (first,), _, _ = ingest(workspace, "wikiart", root)
    monkeypatch.setattr(SourceFolder, "read", lambda *_: pytest.fail("read again"))
    again = ingest_part(workspace, "photos", first.part)
    assert (again.reused, again.rows, again.dropped) == (True, 3, 0)


def test_a_part_that_was_not_planned(workspace):
    with pytest.raises(FileNotFoundError, match="plan the source 'photos' first"):
        ingest_part(workspace, "photos", "part-00000-00000000")


def test_the_same_files_give_the_same_bytes(tmp_path):
    root = make_emoset(str(tmp_path / "emoset"), {"train": [("awe", number) for number in range(5)]})
    tables = [Path(tmp_path / name) for name in ("one", "two")]
    for table in tables:
        ingest(Workspace(str(table)), "emoset", root, part_size=2)
    files = [sorted(path.relative_to(table) for path in table.rglob("*.parquet")) for table in tables]
    assert files[0] == files[1]
    assert len(files[0]) >= 9  # of images, rejected files and lists of pictures, at most two pictures a part
    assert all((tables[0] / file).read_bytes() == (tables[1] / file).read_bytes() for file in files[0])


def test_an_interrupted_part_is_done_again(tmp_path, monkeypatch):
    workspace = Workspace(str(tmp_path / "workspace"))
    (part,) = plan_source(workspace, "photos", "wikiart", make_wikiart(str(tmp_path / "art")))
    move = Path.replace

    def interrupted(self, target):
        if "/images/" in str(target):
            raise KeyboardInterrupt
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ingest_part(workspace, "photos", part)
    assert not list(Path(workspace.uri).rglob(".*"))
    assert workspace.table("rejected", "photos").parts() == [part]
    assert workspace.table("images", "photos").parts() == []
    outcome = ingest_part(workspace, "photos", part)
    assert (outcome.rows, outcome.reused) == (3, False)


def test_a_failing_store_rejects_nothing(tmp_path, monkeypatch):
    workspace = Workspace(str(tmp_path / "workspace"))
    root = make_wikiart(f"memory://{uuid.uuid4().hex}")
    (part,) = plan_source(workspace, "photos", "wikiart", root)

    def unreachable(*_, **__):
        raise ConnectionResetError("the store hung up")

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", unreachable)
        with pytest.raises(ConnectionResetError):
            ingest_part(workspace, "photos", part)
    assert workspace.table("images", "photos").parts() == workspace.table("rejected", "photos").parts() == []
    assert ingest_part(workspace, "photos", part).rows == 3


def test_files_without_permission_are_listed(tmp_path, monkeypatch):
    workspace = Workspace(str(tmp_path / "workspace"))
    root = make_wikiart(str(tmp_path / "art"))
    read = SourceFolder(root).filesystem.__class__.cat_file

    def forbidden(self, path, **options):
        if path.endswith("1.jpg"):
            raise PermissionError(13, "Permission denied", path)
        return read(self, path, **options)

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.cat_file", forbidden)
    (outcome,), _, rejected = ingest(workspace, "wikiart", root)
    assert (outcome.rows, rejected["reason"].item()) == (2, "unreadable file")


def test_one_thread_and_many_give_the_same_rows(tmp_path, monkeypatch):
    workspace = Workspace(str(tmp_path / "workspace"))
    root = make_wikiart(str(tmp_path / "art"), 30)
    many = ingest(workspace, "wikiart", root, source="many")[1]
    monkeypatch.setattr(ingest_module, "LOCAL_THREADS", 1)
    assert ingest(workspace, "wikiart", root, source="one")[1].equals(many)


def test_a_part_is_written_by_row_groups_with_the_bytes_of_one_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_module, "ROWS_PER_GROUP", 4)
    monkeypatch.setattr(workspace_module, "ROWS_PER_GROUP", 4)
    workspace = Workspace(str(tmp_path / "workspace"))
    root = make_wikiart(str(tmp_path / "art"), 11)
    put(root, "Cubism/a_twin.jpg", jpeg(1))
    put(root, "Cubism/b_broken.jpg", b"nothing")
    ((outcome,), images, _) = ingest(workspace, "wikiart", root)
    assert (outcome.rows, outcome.dropped) == (11, 2)
    workspace.table("images", "copy").write_part(outcome.part, images, Images)
    files = [tmp_path / "workspace/images" / source / f"{outcome.part}.parquet" for source in ("photos", "copy")]
    assert pq.ParquetFile(files[0]).metadata.num_row_groups == 3
    assert files[0].read_bytes() == files[1].read_bytes()


def test_tables_open_in_datasets(tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    root = make_wikiart(str(tmp_path / "art"))
    ingest(workspace, "wikiart", root, part_size=2)
    rows = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "workspace/images/photos/*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows[0]["image"].size == (40, 24)
    assert pl.read_parquet(tmp_path / "workspace/images/photos/*.parquet").height == 3


@needs_shared_data
@pytest.mark.parametrize(("layout", "name", "count"), [("emoset", "mini_emoset", 278), ("wikiart", "mini_wikiart", 69)])
def test_real_pictures_all_come_through(tmp_path, layout, name, count):
    outcomes, images, rejected = ingest(Workspace(str(tmp_path / "workspace")), layout, str(SHARED_DATA / name), part_size=100)
    assert sum(outcome.rows for outcome in outcomes) == images.height == count
    assert rejected.is_empty()
    assert images["image_id"].n_unique() == count
    first = images.row(0, named=True)["image"]
    assert SourceFolder(str(SHARED_DATA / name)).read(first["path"]) == first["bytes"]
    if layout == "emoset":
        assert images["split"].value_counts().sort("split").rows() == [("test", 54), ("train", 201), ("val", 23)]
        assert images["label"].n_unique() == 8
        assert all(0 <= json.loads(attributes)["brightness"] <= 1 for attributes in images["attributes"])
    else:
        assert images["style"].n_unique() > 10
        assert images["artist"].null_count() == 0
