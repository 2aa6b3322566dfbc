import json
import os
import uuid

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from coemogen_core.data.readers.registry import READERS, open_reader
from coemogen_core.data.source_folder import SourceFolder, safe_relative_path
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import SHARED_DATA, entry, make_emoset, make_wikiart, needs_shared_data, put


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "source")
    return f"memory://{uuid.uuid4().hex}"


def listed(layout, root):
    entries = list(open_reader(layout, root, "CC0").list_items())
    items = [entry for entry in entries if isinstance(entry, SourceItem)]
    return items, {entry.path: entry for entry in entries if isinstance(entry, RejectedFile)}


def loaded(reader, item):
    """The item with what its annotation says."""
    return next(reader.load_items([item]))()[0]


def test_emoset(root):
    make_emoset(root, {"train": [("awe", 1), ("fear", 2)], "test": [("awe", 3)]})
    put(root, "info.json", "{}")
    items, rejected = listed("emoset", root)
    assert not rejected
    assert [(item.path, item.label, item.split, item.licence) for item in items] == [
        ("image/awe/awe_00001.jpg", "awe", "train", "CC0"),
        ("image/fear/fear_00002.jpg", "fear", "train", "CC0"),
        ("image/awe/awe_00003.jpg", "awe", "test", "CC0"),
    ]
    assert items[0].attributes is None
    assert items[0].stamp.size == len(open_reader("emoset", root).folder.read(items[0].path))
    joined = loaded(open_reader("emoset", root), items[0])
    assert json.loads(joined.attributes) == {"brightness": 0.4, "colorfulness": 0.7, "object": ["Tree"]}


def test_emoset_reads_no_annotation_while_listing(root):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "annotation/awe/awe_00001.json", "not json at all")
    items, rejected = listed("emoset", root)
    assert len(items) == 1
    assert not rejected
    with pytest.raises(UnusableItem, match=r"broken annotation: annotation/awe/awe_00001\.json"):
        loaded(open_reader("emoset", root), items[0])


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ('{"emotion": "joy"}', "unknown emotion", "expected one of: amusement"),
        ('{"emotion": "fear"}', "contradictory emotion", "train.json says awe"),
        ('{"emotion": 3}', "unknown emotion", "annotation/awe"),
        ("[]", "broken annotation", "no JSON object"),
        ("[" * 100_000, "broken annotation", "mend the file"),
        ("\udcff".encode("utf-8", "surrogateescape"), "broken annotation", "mend the file"),
    ],
)
def test_emoset_annotations_that_cannot_be_joined(root, text, reason, words):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "annotation/awe/awe_00001.json", text)
    reader = open_reader("emoset", root)
    with pytest.raises(UnusableItem) as caught:
        loaded(reader, next(iter(reader.list_items())))
    assert caught.value.reason == reason
    assert words in caught.value.detail


def test_emoset_annotation_is_optional(root):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "image/awe/awe_00002.jpg", jpeg(2))
    put(root, "image/awe/awe_00003.jpg", jpeg(3))
    put(root, "train.json", json.dumps([entry("awe", 1), entry("awe", 2), entry("awe", 3)[:3]]))
    items, rejected = listed("emoset", root)
    assert not rejected
    reader = open_reader("emoset", root)
    assert [loaded(reader, item).attributes is None for item in items] == [False, True, True]


def test_emoset_annotation_with_numbers_that_are_no_json(root):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "annotation/awe/awe_00001.json", '{"emotion": "Awe ", "brightness": NaN, "scene": "lone \\ud800"}')
    reader = open_reader("emoset", root)
    assert json.loads(loaded(reader, next(iter(reader.list_items()))).attributes)["brightness"] is None


def test_emoset_entries_that_cannot_be_used_are_listed(root):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "image/awe/odd.jpg", jpeg(5))
    bad = [
        ["joy", "odd", "image/awe/odd.jpg", "annotation/awe/odd.json"],
        entry("awe", 99),
        ["awe", "up", "../secret.jpg", "x.json"],
        ["awe", "up", "image/../../secret.jpg", "x.json"],
        ["awe", "abs", "/etc/passwd", "x.json"],
        ["awe", "url", "s3://bucket/x.jpg", "x.json"],
        ["awe", "win", "C:\\x.jpg", "x.json"],
        ["awe", "nul", "image/\x00.jpg", "x.json"],
        ["awe", "sur", "image/\ud800.jpg", "x.json"],
        ["awe", "none", None, "x.json"],
        entry("awe", 1),
        entry("awe", 1),
        ["awe"],
        "awe",
        None,
    ]
    put(root, "train.json", json.dumps([entry("awe", 1), *bad]))
    entries = list(open_reader("emoset", root).list_items())
    assert isinstance(entries[0], SourceItem)
    assert [entry.path for entry in entries] == sorted(entry.path for entry in entries)
    reasons = {rejected.path: rejected.reason for rejected in entries[1:]}
    assert len(reasons) == len(entries) - 1
    expected = {"image/awe/odd.jpg": "unknown emotion", "image/awe/awe_00099.jpg": "missing file"}
    expected |= {f"train.json#{number}": "unsafe path" for number in range(3, 11)}
    expected |= {f"train.json#{number}": "listed twice" for number in (11, 12)}
    assert reasons == expected | {f"train.json#{number}": "broken split entry" for number in (13, 14, 15)}
    for rejected in entries[1:]:
        rejected.detail.encode()
        assert "train.json#" in rejected.detail
        assert ";" in rejected.detail


def test_emoset_annotation_path_cannot_climb_out(root):
    make_emoset(root, {"train": [("awe", 1)]})
    put(root, "train.json", json.dumps([["awe", "x", "image/awe/awe_00001.jpg", "../../outside.json"]]))
    _, rejected = listed("emoset", root)
    assert rejected["image/awe/awe_00001.jpg"].reason == "unsafe path"


@pytest.mark.parametrize(("text", "words"), [("{", "no JSON"), ("{}", "no list")])
def test_emoset_with_a_broken_split_file_stops(root, text, words):
    put(root, "train.json", text)
    with pytest.raises(ValueError, match=words) as caught:
        list(open_reader("emoset", root).list_items())
    assert "train.json" in str(caught.value)


@pytest.mark.parametrize("layout", list(READERS))
def test_wrong_paths_and_empty_folders_name_path_and_layout(layout, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist: give the folder that holds") as caught:
        list(open_reader(layout, str(tmp_path / "nowhere")).list_items())
    assert str(tmp_path / "nowhere") in str(caught.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match="is a file"):
        list(open_reader(layout, str(tmp_path / "file")).list_items())
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match="expected ") as caught:
        list(open_reader(layout, str(tmp_path / "empty")).list_items())
    assert str(tmp_path / "empty") in str(caught.value)


def test_emoset_that_lists_nothing(tmp_path):
    (tmp_path / "train.json").write_text("[]")
    with pytest.raises(ValueError, match="list no pictures"):
        list(open_reader("emoset", str(tmp_path)).list_items())


def test_unknown_layout():
    with pytest.raises(ValueError, match="expected one of: emoset, wikiart, image_folder, hf_parquet, webdataset"):
        open_reader("coco", "x")


def test_wikiart(root):
    make_wikiart(root, 2)
    put(root, "Pop_Art/untitled.JPEG", jpeg(7))
    put(root, "Pop_Art/readme.txt", "no picture")
    put(root, "Pop_Art/._hidden.jpg", "rubbish")
    put(root, "loose.jpg", jpeg(8))
    put(root, "Pop_Art/deep/a_b.jpg", jpeg(9))
    items, rejected = listed("wikiart", root)
    assert [(item.path, item.style, item.artist, item.label, json.loads(item.attributes)["title"]) for item in items] == [
        ("Cubism/juan-gris_still-life-0.jpg", "Cubism", "juan-gris", None, "still-life-0"),
        ("Cubism/juan-gris_still-life-1.jpg", "Cubism", "juan-gris", None, "still-life-1"),
        ("Pop_Art/untitled.JPEG", "Pop_Art", None, None, "untitled"),
    ]
    assert {path: entry.reason for path, entry in rejected.items()} == dict.fromkeys(
        ["Pop_Art/deep/a_b.jpg", "loose.jpg"], "outside the layout"
    )


def test_image_folder(root):
    for path in ("awe/a.jpg", "Fear/deep/b.png", "holiday/c.webp", "d.gif"):
        put(root, path, jpeg(1))
    items, rejected = listed("image_folder", root)
    assert not rejected
    assert {item.path: item.label for item in items} == {
        "awe/a.jpg": "awe",
        "Fear/deep/b.png": "fear",
        "holiday/c.webp": None,
        "d.gif": None,
    }


def test_things_that_are_no_files_are_listed_and_never_opened(tmp_path):
    (tmp_path / "awe").mkdir()
    (tmp_path / "awe" / "a.jpg").write_bytes(jpeg())
    os.mkfifo(tmp_path / "awe" / "pipe.jpg")
    (tmp_path / "awe" / "dead.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "awe" / "endless.jpg").symlink_to("/dev/zero")
    (tmp_path / "awe" / "circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "awe" / "linked.jpg").symlink_to(tmp_path / "awe" / "a.jpg")
    (tmp_path / os.fsdecode(b"awe/\xff.jpg")).write_bytes(jpeg())
    items, rejected = listed("image_folder", str(tmp_path))
    assert [item.path for item in items] == ["awe/a.jpg", "awe/linked.jpg"]
    reasons = {path: entry.reason for path, entry in rejected.items()}
    assert reasons.pop("awe/\\udcff.jpg") == "unusable file name"
    assert reasons == dict.fromkeys(["awe/pipe.jpg", "awe/dead.jpg", "awe/endless.jpg"], "not a regular file")


def test_linked_folders_are_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(jpeg())
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "awe").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    items, _ = listed("image_folder", str(tmp_path / "source"))
    assert [(item.path, item.label) for item in items] == [("awe/a.jpg", "awe")]


def test_a_file_that_changed_since_listing_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    (item,), _ = listed("image_folder", str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(jpeg(1) + b"more")
    folder = SourceFolder(str(tmp_path))
    with pytest.raises(UnusableItem, match="changed since listing"):
        folder.read(item.path, item.stamp)
    with pytest.raises(UnusableItem, match="missing file"):
        folder.read("b.jpg")


def test_huge_files_are_refused_unread(tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(10 * 2**30)  # a sparse file: takes no room
    (item,), _ = listed("image_folder", str(tmp_path))
    for stamp in (item.stamp, None):
        with pytest.raises(UnusableItem, match="file too large"):
            SourceFolder(str(tmp_path)).read(item.path, stamp)


@given(st.text(alphabet=st.sampled_from("ab./\\~: \x00\ud800"), max_size=12))
def test_safe_paths_stay_below_the_root(text):
    try:
        path = safe_relative_path(text)
    except UnusableItem:
        event("refused")
    else:
        assert os.path.normpath(f"/root/{path}").startswith("/root/")
        assert "\x00" not in path


@needs_shared_data
@pytest.mark.parametrize(("layout", "name", "count"), [("emoset", "mini_emoset", 278), ("wikiart", "mini_wikiart", 69)])
def test_real_sources_list_completely(layout, name, count):
    items, rejected = listed(layout, str(SHARED_DATA / name))
    assert (len(items), len(rejected)) == (count, 0)
    assert all(item.stamp.size for item in items)


def test_listings_are_sorted_by_path_folder_by_folder(root):
    names = ["a.jpg", "a/x.jpg", "a b/y.jpg", "a-b.jpg", "ab.jpg", "a/b/c.jpg", "a/b.jpg", "é.jpg", "Z.jpg", "a0/z.jpg"]
    for name in names:
        put(root, name, jpeg(1))
    assert [path for path, _ in SourceFolder(root).walk()] == sorted(names)
    assert [item.path for item in listed("image_folder", root)[0]] == sorted(names)
