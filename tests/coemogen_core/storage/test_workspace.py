import hashlib
import json
import threading
import uuid
from pathlib import Path

import dataframely as dy
import fsspec
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.storage import reading
from coemogen_core.storage.local_files import local_copy
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import ROWS_PER_GROUP, Workspace
from schemas.tables import EMOTION_NAMES, SPLITS, Images, Rejected, embeddings_schema

pytestmark = pytest.mark.every_storage


def rejected_rows(count: int, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame([{"path": f"{number:06d}.jpg", "reason": "truncated", "detail": "x"} for number in range(start, start + count)])


def files_below(workspace: Workspace) -> list[str]:
    filesystem, root = fsspec.core.url_to_fs(workspace.uri)
    filesystem.invalidate_cache()
    return sorted(path.rsplit("/", 1)[-1] for path in filesystem.find(root))


optional_text = st.none() | st.text(max_size=20)
image_rows = st.lists(
    st.fixed_dictionaries(
        {
            "data": st.binary(max_size=200),
            "width": st.integers(1, 2**31 - 1),
            "height": st.integers(1, 2**31 - 1),
            "label": st.none() | st.sampled_from(EMOTION_NAMES),
            "split": st.none() | st.sampled_from(SPLITS),
            "artist": optional_text,
            "style": optional_text,
            "genre": optional_text,
            "licence": optional_text,
            "attributes": optional_text,
        }
    ),
    max_size=12,
    unique_by=lambda row: row["data"],
)


@settings(max_examples=60)
@given(image_rows)
def test_rows_come_back_as_they_were_written(rows):
    for row in rows:
        data = row.pop("data")
        row |= {"image_id": hashlib.sha256(data).hexdigest(), "image": {"bytes": data, "path": "a/b.jpg"}}
    frame = pl.DataFrame(rows, schema=Images.create_empty().schema)
    table = Workspace(f"memory://{uuid.uuid4().hex}").table("images", "photos")
    table.write_part("part-00000", frame, Images)
    assert table.read_part("part-00000").equals(frame)
    assert table.count() == len(rows)


def test_no_thread_of_arrows_reads_through_python(monkeypatch):
    """One that still holds a Python file when the process ends would abort it."""
    monkeypatch.setattr(reading, "SMALL", 100)
    threads = set()
    read = MemoryFile.read
    monkeypatch.setattr(MemoryFile, "read", lambda file, *arguments: threads.add(threading.get_ident()) or read(file, *arguments))
    table = Workspace(f"memory://{uuid.uuid4().hex}").table("rejected", "photos")
    table.write_part("part-00000", rejected_rows(3 * ROWS_PER_GROUP), Rejected)
    assert table.read_part("part-00000").height == sum(rows.height for rows in table.iter_part("part-00000")) == 3 * ROWS_PER_GROUP
    assert threads == {threading.get_ident()}


def test_vectors_keep_half_precision(workspace):
    schema = embeddings_schema(4)
    frame = pl.DataFrame(
        {"image_id": [hashlib.sha256(b"").hexdigest()], "embedding": [[0.5, -0.25, 1.0, 0.1]]},
        schema_overrides={"embedding": pl.Array(pl.Float16(), 4)},
    )
    table = workspace.table("embeddings")
    table.write_part("part-00000", frame, schema)
    assert table.read_part("part-00000").schema["embedding"] == pl.Array(pl.Float16(), 4)
    assert table.read()["embedding"].to_list() == frame["embedding"].to_list()


def test_parts_are_listed_counted_and_read_in_order(workspace):
    table = workspace.table("rejected", "photos")
    assert table.parts() == []
    table.write_part("part-00001", rejected_rows(2, start=3), Rejected)
    table.write_part("part-00000", rejected_rows(3), Rejected)
    assert table.parts() == ["part-00000", "part-00001"]
    assert table.has_part("part-00001")
    assert not table.has_part("part-00002")
    assert table.read()["path"].to_list() == [f"{number:06d}.jpg" for number in range(5)]
    assert table.read(["path"], ["part-00001"]).shape == (2, 1)
    assert (table.count(), table.count(["part-00000"])) == (5, 3)
    table.remove_part("part-00000")
    assert table.parts() == ["part-00001"]


def test_a_missing_table_and_part_are_named(workspace):
    with pytest.raises(FileNotFoundError, match="rejected/photos has no parts: run the stage"):
        workspace.table("rejected", "photos").read()
    with pytest.raises(FileNotFoundError):
        workspace.table("rejected", "photos").read_part("part-00000")


def test_a_missing_part_is_named_with_the_remedy(workspace):
    table = workspace.table("rejected", "photos")
    table.write_part("part-00000", rejected_rows(1), Rejected)
    table.require_parts(["part-00000"], "ingest it")
    with pytest.raises(FileNotFoundError, match=r"no part part-00001 in .*rejected/photos: ingest it"):
        table.require_parts(["part-00000", "part-00001"], "ingest it")


def test_an_empty_part_is_a_part(workspace):
    table = workspace.table("rejected")
    table.write_part("part-00000", Rejected.create_empty(), Rejected)
    assert table.parts() == ["part-00000"]
    assert table.read().schema == Rejected.create_empty().schema
    data = workspace.read_file("rejected", "part-00000.parquet")
    assert pq.ParquetFile(pyarrow.BufferReader(data)).num_row_groups == 0  # `datasets` from 3.2 on opens no part with an empty one


def test_batches_are_bounded(workspace):
    table = workspace.table("rejected")
    frame = rejected_rows(2 * ROWS_PER_GROUP + 7)
    table.write_part("part-00000", frame, Rejected)
    batches = list(table.iter_part("part-00000", columns=["path"], batch_size=64))
    assert max(batch.height for batch in batches) <= 64
    assert pl.concat(batches).equals(frame.select("path"))


def test_wanted_pictures_come_in_the_order_of_the_part(workspace):
    data = [f"picture {number}".encode() for number in range(2 * ROWS_PER_GROUP + 7)]
    ids = [hashlib.sha256(each).hexdigest() for each in data]
    frame = pl.DataFrame({"image_id": ids, "image": [{"bytes": each, "path": "a.jpg"} for each in data], "width": 1, "height": 1})
    nothing = (pl.lit(None, pl.String).alias(name) for name in ("label", "split", "artist", "style", "genre", "licence", "attributes"))
    table = workspace.table("images", "photos")
    table.write_part("part-00000", frame.with_columns(*nothing), Images)
    wanted = ids[3::7]
    found = list(table.iter_pictures("part-00000", {*wanted, "f" * 64}))
    assert [image_id for image_id, _ in found] == wanted
    assert [picture for _, picture in found] == data[3::7]


def test_a_value_that_does_not_fit_its_type_is_named_and_not_written(workspace):
    names = ("label", "split", "artist", "style", "genre", "licence", "attributes")
    row = {"image_id": hashlib.sha256(b"").hexdigest(), "image": {"bytes": b"", "path": "a.jpg"}, "width": 2**40, "height": 1}
    with pytest.raises(dy.exc.ValidationError, match="width"):
        workspace.table("images").write_part("part-00000", pl.DataFrame([row | dict.fromkeys(names)]), Images)
    assert files_below(workspace) == []


def test_rows_that_break_the_schema_are_not_written(workspace):
    with pytest.raises(dy.exc.ValidationError):
        workspace.table("rejected").write_part("part-00000", pl.concat([rejected_rows(1), rejected_rows(1)]), Rejected)
    assert files_below(workspace) == []


def test_the_same_rows_give_the_same_bytes(workspace):
    table = workspace.table("rejected")
    for name in ("a", "b"):
        table.write_part(name, rejected_rows(600), Rejected)
    assert workspace.read_file("rejected", "a.parquet") == workspace.read_file("rejected", "b.parquet")


def test_other_readers_open_the_parts(tmp_path):
    table = Workspace(str(tmp_path)).table("rejected")
    for number in range(2):
        table.write_part(f"part-{number:05d}", rejected_rows(3, start=3 * number), Rejected)
    Workspace(str(tmp_path)).write_json({}, "rejected", "_plan", "part-00000.json")
    assert pyarrow.dataset.dataset(tmp_path / "rejected").count_rows() == 6
    assert pl.scan_parquet(tmp_path / "rejected" / "*.parquet").collect().height == 6
    assert table.parts() == ["part-00000", "part-00001"]


def test_pictures_carry_the_feature_of_datasets(tmp_path):
    Workspace(str(tmp_path)).table("images").write_part("part-00000", Images.create_empty(), Images)
    metadata = pq.read_schema(tmp_path / "images/part-00000.parquet").metadata[b"huggingface"]
    features = json.loads(metadata)["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert list(features) == Images.column_names()  # `datasets` before 2.17 takes what is named for all that there is


@pytest.mark.parametrize("failing", ["open", "move"])
def test_a_failing_write_leaves_the_old_file_and_no_rubbish(workspace, monkeypatch, failing):
    workspace.write_file(b"old", "report.html")

    def fail(*_, **__):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, {"open": "open", "move": "replace"}[failing], fail)
        patch.setattr(MemoryFileSystem, {"open": "open", "move": "pipe_file"}[failing], fail)
        with pytest.raises(OSError, match="no space left"):
            workspace.write_file(b"new", "report.html")
    assert workspace.read_file("report.html") == b"old"
    assert files_below(workspace) == ["report.html"]


def test_a_half_written_file_is_never_seen(tmp_path, monkeypatch):
    """The writer dies in the middle of its bytes: neither the target nor a part of that name appears."""
    workspace = Workspace(str(tmp_path))
    real_open = Path.open

    class Dying:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            self.file.__enter__()
            return self

        def __exit__(self, *details):
            return self.file.__exit__(*details)

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            raise KeyboardInterrupt

        def __getattr__(self, name):
            return getattr(self.file, name)

    def dying_open(self, mode="r", *arguments, **options):
        file = real_open(self, mode, *arguments, **options)
        return Dying(file) if mode == "ab" else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", dying_open)
        with pytest.raises(KeyboardInterrupt):
            workspace.table("rejected").write_part("part-00000", rejected_rows(100), Rejected)
    assert workspace.table("rejected").parts() == []
    assert files_below(workspace) == []


def test_a_killed_writers_temporary_file_is_no_part(tmp_path):
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / ".part-00000.parquet.0123.tmp").write_bytes(b"half")
    assert Workspace(str(tmp_path)).table("rejected").parts() == []


def test_files_and_json(workspace):
    assert not workspace.exists("runs", "a.json")
    with pytest.raises(FileNotFoundError):
        workspace.read_file("runs", "a.json")
    workspace.write_json({"b": 1, "a": [2, None]}, "runs", "a.json")
    assert workspace.exists("runs", "a.json")
    assert workspace.exists("runs")
    assert workspace.read_json("runs", "a.json") == {"a": [2, None], "b": 1}
    assert workspace.read_file("runs", "a.json") == b'{\n  "a": [\n    2,\n    null\n  ],\n  "b": 1\n}\n'
    workspace.write_json({}, "runs", "a.json")
    assert workspace.read_json("runs", "a.json") == {}


def test_a_file_is_removed_where_there_is_one(workspace):
    workspace.write_json({}, "runs", "a.json")
    for _ in range(2):
        workspace.remove_file("runs", "a.json")
        assert workspace.list_files("runs") == []


def test_a_local_copy_has_the_files_content(workspace):
    uri = workspace.write_file(b"bytes", "runs", "a")
    assert Path(local_copy(uri, "write it")).read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError, match="b does not exist: write it"):
        local_copy(workspace.path("runs", "b"), "write it")


def test_paths_do_not_double_slashes():
    assert Workspace("s3://bucket/root/").path("a", "b") == "s3://bucket/root/a/b"
    assert Workspace("s3://bucket/root").table("a", "b").uri == "s3://bucket/root/a/b"


def test_a_relative_workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("plain.txt", b"x")
    Workspace("here").write_file(b"y", "file")
    assert Path("plain.txt").read_bytes() == b"x"
    assert Path("here/file").read_bytes() == b"y"
