"""What another writer did is seen by the next look: no listing of a store is remembered."""

import fsspec
import polars as pl
import pytest
from aiobotocore.client import AioBaseClient

from coemogen_core.data.plan import plan_source
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Rejected
from tests.coemogen_core.data.pictures import jpeg
from tests.flows.test_object_storage import bucket

__all__ = ["bucket"]
ROWS = pl.DataFrame({"path": ["a"], "reason": ["b"], "detail": ["c"]})


@pytest.fixture
def elsewhere(bucket: str) -> fsspec.AbstractFileSystem:
    """A filesystem that shares no cache with ours: another process."""
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


def test_a_part_that_another_writer_made_and_removed(bucket, elsewhere):
    workspace = Workspace(f"{bucket}/workspace")
    table = workspace.table("rejected", "x")
    table.write_part("part-0", ROWS, Rejected)
    assert (table.parts(), table.has_part("part-1")) == (["part-0"], False)
    content = elsewhere.cat_file(f"{bucket}/workspace/rejected/x/part-0.parquet")
    elsewhere.pipe_file(f"{bucket}/workspace/rejected/x/part-1.parquet", content)
    assert table.has_part("part-1")
    assert table.parts() == ["part-0", "part-1"]
    assert table.read_part("part-1").equals(ROWS)
    elsewhere.rm_file(f"{bucket}/workspace/rejected/x/part-0.parquet")
    assert (table.parts(), table.has_part("part-0")) == (["part-1"], False)
    assert not workspace.exists("rejected", "x", "part-0.parquet")


def test_what_stands_in_a_folder_of_a_part_costs_one_request_and_nothing_around_it(bucket, elsewhere, monkeypatch):
    table = Workspace(f"{bucket}/workspace").table("captions", "x")
    for part in ("part-1", "part-10"):
        elsewhere.pipe_file(f"{bucket}/workspace/captions/x/{part}/a.000.parquet", b"rows")
    table.parts()  # connects
    operations: list[str] = []
    call = AioBaseClient._make_api_call

    def counted(client, operation, arguments):
        operations.append(operation)
        return call(client, operation, arguments)

    monkeypatch.setattr(AioBaseClient, "_make_api_call", counted)
    assert table.parts(within="part-0") == []
    assert table.parts(within="part-1") == ["part-1/a.000"]
    assert operations == ["ListObjectsV2"] * 2


def test_a_file_and_a_folder_that_another_writer_made(bucket, elsewhere):
    workspace = Workspace(f"{bucket}/workspace")
    assert (workspace.list_files("runs", "a"), workspace.exists("runs", "a", "b.json")) == ([], False)
    elsewhere.pipe_file(f"{bucket}/workspace/runs/a/b.json", b"{}")
    assert (workspace.list_files("runs", "a"), workspace.list_folders("runs")) == (["b.json"], ["a"])
    assert workspace.exists("runs", "a", "b.json")
    assert workspace.read_json("runs", "a", "b.json") == {}


def test_pictures_that_came_after_the_first_plan(bucket, elsewhere, workspace):
    elsewhere.pipe_file(f"{bucket}/source/awe/1.jpg", jpeg(1))
    first = plan_source(workspace, "photos", "image_folder", f"{bucket}/source")
    elsewhere.pipe_file(f"{bucket}/source/awe/2.jpg", jpeg(2))
    elsewhere.pipe_file(f"{bucket}/source/fear/3.jpg", jpeg(3))
    second = plan_source(workspace, "photos", "image_folder", f"{bucket}/source")
    assert first != second
    elsewhere.rm_file(f"{bucket}/source/awe/2.jpg")
    elsewhere.rm_file(f"{bucket}/source/fear/3.jpg")
    assert plan_source(workspace, "photos", "image_folder", f"{bucket}/source") == first
