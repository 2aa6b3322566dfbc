"""What reading and writing costs in an object store, counted as s3fs sends it."""

import uuid
from collections import Counter
from collections.abc import Iterator

import polars as pl
import pytest

from benchmarks.counting_storage import CountingStorage, counted_requests
from coemogen_core.storage import reading
from coemogen_core.storage.whole_file import written_whole
from coemogen_core.storage.workspace import ROWS_PER_GROUP, Workspace
from schemas.tables import Rejected


@pytest.fixture
def counted() -> Iterator[Counter[str]]:
    with counted_requests() as counter:
        yield counter


@pytest.fixture
def remote(counted: Counter[str]) -> Workspace:
    """A workspace whose table `rejected` has one part of three row groups; nothing is counted of it."""
    workspace = Workspace(f"memory://{uuid.uuid4().hex}")
    workspace.table("rejected").write_part("part-00000", rows(3 * ROWS_PER_GROUP), Rejected)
    workspace.write_json({}, "plan", "part-00000.json")
    counted.clear()
    return workspace


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame([{"path": f"{number:06d}.jpg", "reason": "truncated", "detail": "x"} for number in range(count)])


def test_a_part_is_looked_for_counted_and_read_by_one_request_each(remote: Workspace, counted: Counter[str]) -> None:
    table = remote.table("rejected")
    assert table.has_part("part-00000")
    assert counted == {"GET": 1}
    assert not table.has_part("part-00001")
    assert counted == {"GET": 2}
    assert table.count(["part-00000"]) == 3 * ROWS_PER_GROUP
    assert counted == {"GET": 3}
    assert table.read_part("part-00000", ["path"]).height == 3 * ROWS_PER_GROUP
    assert counted == {"GET": 4}
    assert sum(batch.height for batch in table.iter_part("part-00000")) == 3 * ROWS_PER_GROUP
    assert counted == {"GET": 5}


@pytest.mark.parametrize("size", ["FOOTER", "SMALL"])
def test_a_part_that_is_larger_than_what_is_fetched_first_has_the_same_rows(
    remote: Workspace, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.setattr(reading, size, 16)
    table = remote.table("rejected")
    assert table.count() == 3 * ROWS_PER_GROUP
    assert table.read_part("part-00000").equals(rows(3 * ROWS_PER_GROUP))
    assert pl.concat(list(table.iter_part("part-00000", batch_size=100))).equals(rows(3 * ROWS_PER_GROUP))


def test_a_write_is_one_request_however_it_is_written(remote: Workspace, counted: Counter[str]) -> None:
    table = remote.table("rejected")
    table.write_part("part-00001", rows(1), Rejected)
    table.write_part("part-00002", rows(1), Rejected, replace=False)
    remote.write_json({"a": 1}, "plan", "part-00001.json")
    with table.part_writer("part-00003", Rejected) as write:
        write(rows(1))
    assert counted == {"PUT": 4}
    assert table.count() == 3 * ROWS_PER_GROUP + 3


def test_listings_plans_and_removals_are_one_request_each(remote: Workspace, counted: Counter[str]) -> None:
    assert remote.table("rejected").parts() == ["part-00000"]
    assert remote.list_files("plan") == ["part-00000.json"]
    assert counted == {"LIST": 2}
    assert remote.read_json("plan", "part-00000.json") == {}
    assert counted == {"LIST": 2, "GET": 1}
    for _ in range(2):
        remote.remove_file("plan", "part-00000.json")
    assert counted == {"LIST": 2, "GET": 1, "DELETE": 2}
    assert (remote.list_folders("nothing"), remote.table("nothing").parts()) == ([], [])


def test_a_part_without_a_folder_is_asked_for_once_however_many_have_one(remote: Workspace, counted: Counter[str]) -> None:
    table = remote.table("captions")
    for number in range(2_001):
        remote.write_file(b"", "captions", f"part-{number:05d}", "caption.000.parquet")
    counted.clear()
    assert table.parts(within="part-02001") == []
    assert table.parts(within="part-0200") == []
    assert counted == {"LIST": 2}
    assert table.parts(within="part-02000") == ["part-02000/caption.000"]
    assert counted == {"LIST": 3}


def test_an_upload_that_breaks_off_leaves_what_stood_there(remote: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a store that is no memory: it sends blocks while they are written."""
    monkeypatch.setattr("coemogen_core.storage.whole_file.MemoryFileSystem", type("Nothing", (), {}))
    uri = remote.path("plan", "part-00000.json")
    with pytest.raises(KeyboardInterrupt), written_whole(uri) as file:  # noqa: PT012  the write is part of it
        file.write(b"half")
        raise KeyboardInterrupt
    assert remote.read_json("plan", "part-00000.json") == {}
    with written_whole(uri) as file:
        file.write(b"[1]")
    assert remote.read_json("plan", "part-00000.json") == [1]
    assert remote.list_files("plan") == ["part-00000.json"]
    assert isinstance(file.fs, CountingStorage)


def test_an_empty_file_is_read_as_one(remote: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses every range of it."""
    remote.write_file(b"", "empty")
    cat_file = CountingStorage.cat_file

    def of_s3(store: CountingStorage, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if start is not None:
            raise OSError(22, "The requested range is not satisfiable")
        return cat_file(store, path)

    monkeypatch.setattr(CountingStorage, "cat_file", of_s3)
    assert remote.read_file("empty") == b""
