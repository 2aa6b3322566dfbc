import inspect

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.storage.workspace import Workspace
from tasks.ingest import ingest_part_task, plan_source_task
from tests.coemogen_core.data.sources import make_wikiart


def test_tasks_plan_and_ingest_by_names_alone(tmp_path):
    root = make_wikiart(str(tmp_path / "art"), 5)
    uri = str(tmp_path / "workspace")
    parts = plan_source_task.fn(uri, "art", "wikiart", root, "public domain", 2)
    outcomes = [ingest_part_task.fn(uri, "art", part) for part in parts]
    assert [outcome.rows for outcome in outcomes] == [2, 2, 1]
    assert [ingest_part_task.fn(uri, "art", part).reused for part in parts] == [True] * 3
    assert Workspace(uri).table("images", "art").read(["licence"])["licence"].unique().to_list() == ["public domain"]


def test_tasks_take_what_the_core_takes():
    for task, core in ((plan_source_task, plan_source), (ingest_part_task, ingest_part)):
        assert list(inspect.signature(task.fn).parameters)[1:] == list(inspect.signature(core).parameters)[1:]
