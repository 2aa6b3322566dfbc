"""What `coemogen prune` shows a person who has to decide whether it may go."""

import pytest
from rich.console import Console

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import mark_current
from coemogen_core.storage.workspace import Workspace
from flows.command_line.upkeep import prune
from tests.coemogen_core.curation.curated_art import PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.upkeep.old_workspace import plan

SHARED = "features-0123456789ab.emoart-0123456789ab.train"
PLACES = [
    ("features", "emoart", SHARED),
    ("features", "emoart", f"{SHARED}+val"),
    ("emotion_scores", SOURCE, "probe-0123456789ab"),
    ("emotion_scores", SOURCE, "probe-012345678901"),
]


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    plan(workspace, 10, PARTS)
    mark_current(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    for names in PLACES:
        workspace.write_file(b"x" * 2**20, *names, f"{PARTS[0]}.{'safetensors' if names[0] == 'features' else 'parquet'}")
    return workspace


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_names_are_shown_whole(workspace, capsys, monkeypatch, width):
    monkeypatch.setattr("flows.command_line.upkeep.console", Console(width=width, highlight=False))
    prune(workspace=workspace.uri, older_than_days=0)
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(len(line) <= width for line in said.splitlines())
    (heading, *lines) = said.splitlines()
    start = heading.index("why")
    names = "".join(line[:start].strip() for line in lines if line[start - 1 : start] in ("", " "))
    for place in PLACES:
        assert "/".join(place) in names
    assert "4 files, 4.0 MiB; --remove removes them" in said


def test_what_was_shown_is_removed(workspace, capsys):
    prune(workspace=workspace.uri, older_than_days=0, remove=True)
    assert "4 files, 4.0 MiB removed" in capsys.readouterr().out
    prune(workspace=workspace.uri, older_than_days=0, remove=True)
    assert "nothing to remove" in capsys.readouterr().out
