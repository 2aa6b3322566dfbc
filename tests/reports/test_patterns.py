"""Names that people chose are looked up by listing: brackets, stars and question marks are letters."""

import re
from pathlib import Path

import polars as pl
import pytest

from coemogen_core.classifier.human_ratings import read_ratings
from coemogen_core.curation.decide import decide
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.picture_index import open_index, pictures_table, update_index
from coemogen_core.data.plan import finish_source, plan_source
from coemogen_core.storage.local_files import local_copy
from coemogen_core.storage.whole_file import write_atomically
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.unreferenced import find_unreferenced
from schemas.tables import Pictures, Rejected
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.data.sources import make_emoset

ROOT = Path(__file__).parents[2]
LAYERS = ("coemogen_core", "tasks", "flows", "schemas")
ROWS = pl.DataFrame({"path": ["a"], "reason": ["b"], "detail": ["c"]})
NAMES = ["photos [2026]", "photos*", "what?", "{a,b}", "100%", "a#b", "[!x]", "a b", "a::b"]
BY_NAME = {
    "cat_file",
    "exists",
    "find",
    "get_file",
    "info",
    "isdir",
    "isfile",
    "ls",
    "open",
    "pipe_file",
    "rm_file",
    "protocol",
    "unstrip_protocol",
}
"""What a filesystem does with a name as it stands; all else takes some names for patterns, or was not looked at yet."""


def lines_of_code():
    for layer in LAYERS:
        for file in (ROOT / layer).rglob("*.py"):
            for line in file.read_text().splitlines():
                yield str(file.relative_to(ROOT)), line


def test_nothing_matches_patterns_in_given_paths():
    """Five places may: fixed patterns below a folder of ours, whose own name `Path.glob` takes as it is."""
    allowed = {"coemogen_core/captioning/server/own_server_settings.py", "coemogen_core/captioning/server/vllm_checkpoint.py"}
    allowed |= {"coemogen_core/storage/model_source.py", "coemogen_core/lab/build/__main__.py", "coemogen_core/captioning/journal.py"}
    pattern = re.compile(r"\bi?r?glob\(|fnmatch|expand_path|_to_fs\(|fs_token_paths|open_(?:local|files)|fsspec\.open\b|\.mv\(")
    assert {file for file, line in lines_of_code() if pattern.search(line)} == allowed


def test_filesystems_are_asked_for_names_alone():
    asked = re.compile(r"\b(?:filesystem|fs)\.([a-z_]+)")
    assert {(file, name) for file, line in lines_of_code() for name in asked.findall(line) if name not in BY_NAME} == set()


def test_polars_is_given_no_path_to_expand():
    opened = re.compile(r"\bpl\.(?:read|scan)_\w+\((?!file\)).*")
    calls = {(file, found[0]) for file, line in lines_of_code() if (found := opened.search(line))}
    assert {(file, call) for file, call in calls if "glob=False" not in call} == set()


@pytest.fixture(params=NAMES)
def place(request, tmp_path):
    return str(tmp_path / request.param / "workspace")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("store", ["local", "memory"])
def test_tables_and_files_are_found_again(store, name, tmp_path):
    workspace = Workspace(f"memory://{name}/workspace" if store == "memory" else str(tmp_path / name / "workspace"))
    sibling = Workspace(workspace.uri.replace("workspace", "workspace2"))
    for each in (workspace, sibling):
        each.table("rejected", "x").write_part("part-[0]", ROWS, Rejected)
        each.write_json({"of": each.uri}, "runs", "train-1", "checkpoints", "step-1.json")
    table = workspace.table("rejected", "x")
    assert table.parts() == ["part-[0]"]
    assert table.has_part("part-[0]")
    assert table.read().equals(ROWS)
    assert table.count() == 1
    assert workspace.list_files("runs", "train-1", "checkpoints") == ["step-1.json"]
    assert workspace.list_folders("runs") == ["train-1"]
    assert workspace.read_json("runs", "train-1", "checkpoints", "step-1.json") == {"of": workspace.uri}
    table.remove_part("part-[0]")
    assert table.parts() == []
    assert sibling.table("rejected", "x").parts() == ["part-[0]"]


def test_a_source_and_a_workspace_of_such_names(place):
    root = make_emoset(str(Path(place).parent / "photos"), {"train": [("awe", 1), ("fear", 2)]})
    workspace = Workspace(place)
    parts = plan_source(workspace, "photos", "emoset", root)
    assert [ingest_part(workspace, "photos", part).rows for part in parts] == [2]
    make_emoset(root, {"train": [("awe", 1), ("fear", 2), ("anger", 3)]})
    (changed,) = plan_source(workspace, "photos", "emoset", root)
    assert ingest_part(workspace, "photos", changed).rows == 3
    for _ in range(2):  # the second index takes the place of the first
        assert update_index(workspace) == 5
    assert finish_source(workspace, "photos") == parts
    assert workspace.table("images", "photos").parts() == current_parts(workspace, "photos") == [changed]  # the old part is gone
    assert find_unreferenced(workspace, older_than_days=0)[0].table == "pictures/decoder-2/photos"


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_on_this_disk_of_a_file_elsewhere(name):
    """Named like the file, or matched by it taken for a pattern, lie others, which the copy is not of."""
    uri = f"memory://{name}/files/x{name}.bin"
    for other in (uri, f"{uri}2", "memory://photos2/files/xphotos2.bin", "memory://a/files/xa.bin"):
        write_atomically(other, other.encode())
    copy = local_copy(uri, "")
    assert Path(copy).read_text() == uri
    assert local_copy(uri, "") == copy  # fetched once a process
    with pytest.raises(FileNotFoundError, match="make it"):
        local_copy(f"{uri}3", "make it")


@pytest.mark.parametrize("name", NAMES)
def test_an_index_elsewhere_is_opened(name):
    workspace = Workspace(f"memory://index-{name}/workspace")
    rows = pl.DataFrame({"image_id": ["ab" * 32], "width": [3], "height": [2]})
    pictures_table(workspace, "photos").write_part("part-0", rows, Pictures)
    assert update_index(workspace) == len(open_index(workspace).keys) == 1
    assert open_index(workspace).size("ab" * 32) == (3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_made_with_temporary_files_in_such_a_folder(name, workspace, tmp_path, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    build_art(workspace)
    assert sum(part.rows for part in decide(workspace, SOURCE, PARTS, RECIPE).parts) > 0


def test_single_files_of_such_names(place):
    file = f"{place}/ratings [1].csv"
    write_atomically(file, b"image_id,valence_mean_1to7\na,2\n")
    assert read_ratings("oasis", file).rows.height == 1
    assert Path(local_copy(file, "")).read_bytes().startswith(b"image_id")
