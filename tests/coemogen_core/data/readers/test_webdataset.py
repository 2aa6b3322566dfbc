import json
import tarfile
import uuid

import polars as pl
import pytest

from coemogen_core.data import source_folder
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.readers import tar_members
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import RejectedFile, SourceItem, UnusableItem
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.data.archives import claim_size, parquet, sample, special, tar
from tests.coemogen_core.data.pictures import encode, jpeg, scene
from tests.coemogen_core.data.sources import put


def load(root):
    """Rows by path of what is accepted, reasons by path of what is not."""
    reader = open_reader("webdataset", root, "CC0")
    entries = list(reader.list_items())
    items = [entry for entry in entries if isinstance(entry, SourceItem)]
    reasons = {entry.path: entry.reason for entry in entries if isinstance(entry, RejectedFile)}
    assert len(reasons) == len(entries) - len(items)
    loaded = {}
    for item, call in zip(items, reader.load_items(items), strict=True):
        try:
            loaded[item.path] = call()
        except UnusableItem as error:
            reasons[item.path] = error.reason
    return loaded, reasons


def test_samples_are_grouped_by_key(root):
    members = [
        *sample("a/0001", jpeg(1), label="Awe", artist="Hokusai", style="Ukiyo_e", genre="landscape", license="CC BY"),
        ("a/0002.png", encode(scene(seed=2), "PNG")),
        ("a/0002.cls", b"fear\n"),
        ("a/0002.txt", "a caption – in words".encode()),
        ("0003.webp", encode(scene(seed=3), "WEBP")),
        ("0003.cls", b"7"),
        *sample("0004", jpeg(4), "jpeg", label="dog", emotion="sadness", split="test"),
    ]
    put(root, "train-000000.tar", tar(members))
    loaded, reasons = load(root)
    assert not reasons
    rows = {path.removeprefix("train-000000.tar/"): item for path, (item, _) in loaded.items()}
    assert {path: (item.label, item.split) for path, item in rows.items()} == {
        "a/0001.jpg": ("awe", "train"),
        "a/0002.png": ("fear", "train"),
        "0003.webp": (None, "train"),
        "0004.jpeg": ("sadness", "test"),
    }
    first = rows["a/0001.jpg"]
    assert (first.artist, first.style, first.genre, first.licence) == ("Hokusai", "Ukiyo_e", "landscape", "CC BY")
    assert json.loads(rows["a/0002.png"].attributes) == {"cls": "fear", "caption": "a caption – in words"}
    assert rows["0003.webp"].licence == "CC0"
    assert [data for _, data in loaded.values()] == [members[0][1], members[2][1], members[5][1], members[7][1]]


def test_a_class_number_means_what_the_class_list_says(root):
    put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("1.cls", b"1"), ("2.jpg", jpeg(2)), ("2.cls", b"9")]))
    assert [item.label for item, _ in load(root)[0].values()] == [None, None]
    put(root, "classes.txt", "fear\nawe\n")
    assert [item.label for item, _ in load(root)[0].values()] == ["awe", None]


def test_what_img2dataset_writes(root):
    """Its sample writer's members and its table beside each archive."""
    said = {"url": "https://example.org/1.jpg", "key": "000000001", "status": "success", "error_message": None, "sha256": "0" * 64}
    failed = said | {"status": "failed_to_resize", "error_message": "cannot decode"}
    members = [
        *[("000000001.jpg", jpeg(1)), ("000000001.txt", b"a tree"), ("000000001.json", json.dumps(said | {"caption": "a tree"}).encode())],
        *[("000000002.jpg", jpeg(2)), ("000000002.json", json.dumps(failed).encode())],
        ("000000003.json", json.dumps(failed).encode()),
    ]
    put(root, "00000.tar", tar(members))
    columns = {"key": ["000000001", "000000004"], "status": ["success", "failed_to_download"], "error_message": [None, "HTTP 404"]}
    put(root, "00000.parquet", parquet(columns | {"url": ["https://example.org/1.jpg", "https://example.org/4.jpg"]}))
    put(root, "00000_stats.json", "{}")
    loaded, reasons = load(root)
    ((item, data),) = loaded.values()
    assert data == jpeg(1)
    assert json.loads(item.attributes) == said | {"caption": "a tree"}
    assert reasons == {
        "00000.tar/000000002.jpg": "failed_to_resize",
        "00000.tar/000000003.json": "failed_to_resize",
        "00000.tar/000000004": "failed_to_download",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "broken annotation"),
        ("[]", "broken annotation"),
        ("[" * 99_999, "broken annotation"),
        ('{"label": "fear"}', "contradictory emotion"),
    ],
)
def test_annotations_that_cannot_be_joined(root, text, reason):
    put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("1.cls", b"awe"), ("1.json", text.encode())]))
    assert load(root)[1] == {"a.tar/1.jpg": reason}


def test_every_odd_member_is_named(root):
    long_annotation = b'"' + b"x" * 2**20 + b'"'
    members = [
        *sample("whole", jpeg(0)),
        ("../up.jpg", jpeg(1)),
        ("/etc/absolute.jpg", jpeg(2)),
        ("a/../../climb.jpg", jpeg(3)),
        ("C:\\windows.jpg", jpeg(4)),
        ("line\nbreak.jpg", jpeg(5)),
        special("soft.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.jpg", tarfile.LNKTYPE, "whole.jpg"),
        special("pipe.jpg", tarfile.FIFOTYPE),
        special("disk.jpg", tarfile.BLKTYPE),
        special("folder", tarfile.DIRTYPE),
        ("._hidden.jpg", b"rubbish"),
        ("whole.jpg", jpeg(6)),
        ("alone.txt", b"no picture"),
        ("two.jpg", jpeg(7)),
        ("two.mask.png", jpeg(8)),
        ("long.jpg", jpeg(9)),
        ("long.json", long_annotation),
    ]
    put(root, "a.tar", tar(members))
    loaded, reasons = load(root)
    assert list(loaded) == ["a.tar/whole.jpg", "a.tar/two.jpg"]
    named = {path: reason for path, reason in reasons.items() if "#" not in path}
    assert named == {
        **dict.fromkeys([f"a.tar/{name}.jpg" for name in ("soft", "hard", "pipe", "disk")], "not a regular file"),
        "a.tar/alone.txt": "no picture",
        "a.tar/two.mask.png": "second picture of a sample",
        "a.tar/long.jpg": "broken annotation",
    }
    odd = [reason for path, reason in reasons.items() if "#" in path]
    assert odd == ["unsafe path"] * 4 + ["unusable file name", "listed twice"]


@pytest.mark.parametrize("size", [-512, -1024, 2**20, 2**40, 2**70])
def test_claimed_sizes_are_checked(root, size):
    put(root, "a.tar", claim_size(tar([("1.jpg", b"x" * 100), ("2.jpg", b"y" * 100)]), 0, size))
    loaded, reasons = load(root)
    assert not loaded
    assert set(reasons.values()) & {"truncated", "broken archive"}


def test_a_huge_extended_header_is_never_read(root):
    info = special("x", tarfile.XHDTYPE)
    info.size = 3 * 2**20
    put(root, "a.tar", info.tobuf() + bytes(4 * 2**20))
    _, reasons = load(root)
    assert reasons == {"a.tar": "broken archive"}


def test_holes_are_refused(root):
    info = tarfile.TarInfo("holes.jpg")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1"}
    put(root, "a.tar", tar([info], format=tarfile.PAX_FORMAT))
    assert load(root)[1] == {"a.tar/holes.jpg": "sparse member"}


def test_a_broken_archive_gives_what_stands_before(root):
    whole = tar([*sample("1", jpeg(1)), *sample("2", jpeg(2))])
    put(root, "cut.tar", whole[: 512 + len(jpeg(1)) + 700])
    put(root, "half.tar", whole[: 512 + len(jpeg(1)) // 2])
    second = 512 + -(-len(jpeg(1)) // 512) * 512
    put(root, "mixed.tar", whole[:second] + b"rubbish" * 500)
    put(root, "no.tar", b"not an archive at all")
    put(root, "void.tar", b"")
    put(root, "packed.tar.gz", b"\x1f\x8b")
    loaded, reasons = load(root)
    assert list(loaded) == ["cut.tar/1.jpg", "mixed.tar/1.jpg"]
    assert reasons.pop("half.tar/1.jpg") == "truncated"
    assert reasons.pop("void.tar") == "empty file"
    assert reasons.pop("packed.tar.gz") == "compressed archive"
    assert {path.split("#")[0] for path in reasons} == {"cut.tar", "half.tar", "mixed.tar", "no.tar"}
    assert set(reasons.values()) <= {"broken archive", "truncated"}


def test_more_members_than_are_remembered(root, monkeypatch):
    monkeypatch.setattr(tar_members, "MAX_MEMBERS", 2)
    put(root, "a.tar", tar([(f"{number}.jpg", jpeg(number)) for number in range(4)]))
    loaded, reasons = load(root)
    assert len(loaded) == 2
    assert list(reasons.values()) == ["too many members"]


def test_members_larger_than_any_picture(root, monkeypatch):
    monkeypatch.setattr(tar_members, "MAX_FILE_BYTES", len(jpeg(1)))
    put(root, "a.tar", tar([("1.jpg", jpeg(1)), ("2.jpg", jpeg(1) + b"more")]))
    assert load(root)[1] == {"a.tar/2.jpg": "file too large"}


def test_listing_reads_headers_and_loading_reads_ranges(tmp_path, monkeypatch):
    root = f"memory://{uuid.uuid4().hex}"
    pictures = [jpeg(number) + bytes(300_000) for number in range(5)]
    put(root, "a.tar", tar([(f"{number}.jpg", data) for number, data in enumerate(pictures)]))
    asked = []
    read = tar_members._HeadersOnly.read
    monkeypatch.setattr(tar_members._HeadersOnly, "read", lambda self, size: asked.append(size) or read(self, size))
    reader = open_reader("webdataset", root)
    items = list(reader.list_items())
    assert sum(asked) < 10_000
    ranges = []
    fetch = SourceFolder.read_range
    monkeypatch.setattr(source_folder.SourceFolder, "read_range", lambda self, *args: ranges.append(args) or fetch(self, *args))
    (call,) = reader.load_items([items[3]])
    assert call()[1] == pictures[3]
    assert [size for _, _, size in ranges] == [len(pictures[3])]


def test_an_archive_that_changed_since_listing(root):
    put(root, "a.tar", tar(sample("1", jpeg(1))))
    reader = open_reader("webdataset", root)
    items = list(reader.list_items())
    put(root, "a.tar", tar([*sample("1", jpeg(1)), ("2.jpg", bytes(20_000))]))
    (call,) = reader.load_items(items)
    with pytest.raises(UnusableItem, match="changed since listing"):
        call()


def test_ingest_of_archives_local_and_remote(tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    tables = []
    for source, root in (("local", str(tmp_path / "source")), ("remote", f"memory://{uuid.uuid4().hex}")):
        for shard in range(3):
            members = [member for number in range(4) for member in sample(f"{shard}{number}", jpeg(shard * 4 + number), label="awe")]
            put(root, f"{shard:05d}.tar", tar(members))
        parts = plan_source(workspace, source, "webdataset", root, part_size=5)
        assert sum(ingest_part(workspace, source, part).rows for part in parts) == 12
        assert plan_source(workspace, source, "webdataset", root, part_size=5) == parts
        tables.append((parts, workspace.table("images", source).read(parts=parts)))
    assert tables[0][0] == tables[1][0]
    assert tables[0][1].equals(tables[1][1])
    assert tables[0][1]["image"].struct.field("path")[4] == "00001.tar/10.jpg"
    assert tables[0][1].filter(pl.col("label") != "awe").is_empty()
