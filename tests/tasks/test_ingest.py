import hashlib
import inspect
from pathlib import Path

import polars as pl

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.decide import Thresholds, decide, refilter
from coemogen_core.curation.decisions import CurationRecipe, mark_current, resolve_version
from coemogen_core.curation.selection import Selection
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.picture_index import open_index
from coemogen_core.data.plan import DEFAULT_PART_SIZE, plan_source
from coemogen_core.storage.workspace import Workspace
from tasks.ingest import finish_source_task, ingest_part_task, plan_source_task, retire_parts_task, update_index_task
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import make_wikiart, put

RECIPE = CurationRecipe(dataset="art", selection=Selection(), captions=CaptionPolicy(choose="latest"), encoder_id="clip-a")


def test_tasks_plan_and_ingest_by_names_alone(tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 5)
    uri = str(tmp_path / "workspace")
    parts = plan_source_task.fn(uri, "art", "wikiart", root, "public domain", 2)
    outcomes = [ingest_part_task.fn(uri, "art", part) for part in parts]
    assert sum(outcome.rows for outcome in outcomes) == 5
    assert max(outcome.rows for outcome in outcomes) == 2
    assert all(ingest_part_task.fn(uri, "art", part).reused for part in parts)
    assert Workspace(uri).table("images", "art").read(["licence"])["licence"].unique().to_list() == ["public domain"]


def test_an_ingested_source_is_indexed_and_what_left_it_goes(tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 9)
    workspace = Workspace(str(tmp_path / "workspace"))
    before = plan_source_task.fn(workspace.uri, "art", "wikiart", root, part_size=4)
    for part in before:
        ingest_part_task.fn(workspace.uri, "art", part)
    assert finish_source_task.fn(workspace.uri, "art", 4) == []
    first = sorted(Path(root).rglob("*.jpg"))[0]
    gone = hashlib.sha256(first.read_bytes()).hexdigest()
    assert not open_index(workspace).places(pl.Series([gone])).is_empty()
    first.unlink()
    after = plan_source_task.fn(workspace.uri, "art", "wikiart", root, part_size=4)
    assert update_index_task.fn(workspace.uri) == 9
    for part in after:
        ingest_part_task.fn(workspace.uri, "art", part)
    assert finish_source_task.fn(workspace.uri, "art", 4) == sorted(set(before) - set(after))
    assert gone not in set(workspace.table("images", "art").read(["image_id"])["image_id"])
    assert not open_index(workspace).places(pl.Series([gone])).is_empty()  # should it come back


def test_tasks_take_what_the_core_takes():
    for task, core in ((plan_source_task, plan_source), (ingest_part_task, ingest_part)):
        assert list(inspect.signature(task.fn).parameters)[1:] == list(inspect.signature(core).parameters)[1:]


def test_what_a_current_version_names_stays_until_another_one_is_current(tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 4)
    workspace = Workspace(str(tmp_path / "workspace"))

    def built() -> list[str]:
        parts = plan_source_task.fn(workspace.uri, "art", "wikiart", root)
        for part in parts:
            ingest_part_task.fn(workspace.uri, "art", part)
        finish_source_task.fn(workspace.uri, "art", DEFAULT_PART_SIZE)
        return parts

    def decided(parts: list[str]) -> None:
        mark_current(workspace, "art", decide(workspace, "art", parts, RECIPE).version)

    before = built()
    decided(before)
    put(root, "Abstract/aaron_first.jpg", jpeg(5))
    after = built()
    assert set(before) <= set(workspace.table("images", "art").parts())
    assert refilter(workspace, "art", resolve_version(workspace, "art"), Thresholds(drop_fraction=0.5)).parts
    decided(after)
    assert retire_parts_task.fn(workspace.uri, "art") == before
    assert workspace.table("images", "art").parts() == after
