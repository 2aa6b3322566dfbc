"""Everything hostile at once: the run ends well, each file is named with its reason, and nothing happens outside the workspace."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from coemogen_core.data.part_plan import read_cut
from coemogen_core.data.plan import DEFAULT_PART_SIZE
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images, Rejected
from tests.coemogen_core.data import hostile_source
from tests.coemogen_core.data.hostile_source import ACCEPTED, MARKER, ODD_MEMBERS

CHILD = Path(__file__).with_name("hostile_child.py")
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


class Ingested(NamedTuple):
    said: dict
    outcomes: dict[str, dict[str, str]]
    expected: dict[str, dict[str, str]]
    details: dict[str, str]
    before: dict[str, tuple]
    after: dict[str, tuple]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """One run over all of it, in a process with a home, a working and a temporary folder of its own."""
    folder = tmp_path_factory.mktemp("hostile").resolve()
    expected = {
        "loose": hostile_source.loose_files(folder / "sources/loose"),
        "archives": hostile_source.archives(folder / "sources/archives"),
        "tables": hostile_source.tables(folder / "sources/tables"),
    }
    layouts = {"loose": "image_folder", "archives": "webdataset", "tables": "hf_parquet"}
    sources = {name: (layout, str(folder / "sources" / name)) for name, layout in layouts.items()}
    (folder / "empty").mkdir()
    here = str(folder / "empty")
    environment = os.environ | {
        "HOME": here,
        "TMPDIR": here,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    before = snapshot(folder)
    command = [sys.executable, str(CHILD), str(folder / "workspace"), json.dumps(sources)]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    workspace = Workspace(str(folder / "workspace"))
    outcomes, details = {}, {}
    for name in sources:
        parts = read_cut(workspace, name, DEFAULT_PART_SIZE).names  # several: huge files take a part for themselves
        images, rejected = (workspace.table(table, name).read(parts=parts) for table in ("images", "rejected"))
        again = images.filter(~pl.col("image_id").is_first_distinct())["image"].struct.field("path")
        images = images.unique("image_id", keep="first", maintain_order=True)
        Images.validate(images)
        Rejected.validate(rejected)
        accepted = images["image"].struct.field("path").to_list()
        assert not set(accepted) & set(rejected["path"])
        outcomes[name] = dict.fromkeys(accepted, ACCEPTED) | dict(rejected.select("path", "reason").iter_rows())
        outcomes[name] |= dict.fromkeys(again, "duplicate")  # of a picture in another part: the curation drops it
        details |= dict(rejected.select(pl.concat_str(pl.lit(f"{name}:"), "path"), "detail").iter_rows())
    return Ingested(json.loads(done.stdout.splitlines()[-1]), outcomes, expected, details, before, snapshot(folder))


def snapshot(folder: Path) -> dict[str, tuple]:
    """Every entry outside the workspace with its size and time."""
    entries = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "workspace"]
        for name in [*folders, *files]:
            status = os.lstat(f"{place}/{name}")
            entries[f"{place}/{name}"] = (status.st_mode, status.st_size, status.st_mtime_ns if name not in folders else 0)
    return entries


@pytest.mark.parametrize("source", ["loose", "tables"])
def test_every_file_is_named_with_its_reason(ingested, source):
    assert ingested.outcomes[source] == ingested.expected[source]


def test_every_member_is_named_with_its_reason(ingested):
    outcomes = dict(ingested.outcomes["archives"])
    expected = ingested.expected["archives"]
    assert {path: outcomes.pop(path, None) for path in expected} == expected
    assert sorted(outcomes.values()) == sorted(ODD_MEMBERS.values())
    for words, reason in ODD_MEMBERS.items():
        details = [ingested.details[f"archives:{path}"] for path, said in outcomes.items() if said == reason]
        assert any(words in detail for detail in details)


def test_there_are_many_and_each_has_a_remedy(ingested):
    rejected = [path for outcomes in ingested.outcomes.values() for path, reason in outcomes.items() if reason != ACCEPTED]
    assert len([path for path in rejected if not path.startswith("h-same")]) >= 60
    assert len(ingested.expected["loose"]) >= 50
    assert len({reason for outcomes in ingested.outcomes.values() for reason in outcomes.values()}) >= 20
    assert all(";" in detail for detail in ingested.details.values())


def test_nothing_is_written_outside_the_workspace_and_nothing_started(ingested):
    assert ingested.said["seen"] == []
    assert ingested.after == ingested.before
    assert not any(Path(place, name).exists() for place in ("/tmp", ROOT) for name in (MARKER, f"{MARKER}.jpg"))


def test_none_takes_more_than_a_gibibyte(ingested):
    assert ingested.said["peak_mib"] < 1024
