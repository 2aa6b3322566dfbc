import uuid

import pytest

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.readers.registry import open_reader
from coemogen_core.data.source_item import RejectedFile, SourceItem
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.data.sources import SHARED_DATA, make_wikiart, needs_shared_data, put

PAINTING = "Cubism/juan-gris_still-life-{}.jpg"


@pytest.fixture(params=["local", "memory"])
def root(request, tmp_path):
    folder = str(tmp_path / "all" / "art") if request.param == "local" else f"memory://{uuid.uuid4().hex}/art"
    return make_wikiart(folder, 3)


def listed(root):
    entries = list(open_reader("wikiart", root).list_items())
    items = {entry.path: entry for entry in entries if isinstance(entry, SourceItem)}
    return items, [entry for entry in entries if isinstance(entry, RejectedFile)]


def write_lists(place: str) -> None:
    put(place, "style_class.txt", "0 Analytical_Cubism\n7 Cubism\n")
    put(place, "style_train.csv", f"{PAINTING.format(0)},0\n{PAINTING.format(1)},7\n")
    put(place, "genre_class.txt", "9 still_life\n")
    put(place, "genre_val.csv", f"{PAINTING.format(1)},9\r\n")
    put(place, "artist_class.txt", "3 Juan_Gris\n")
    put(place, "artist_val.csv", f"{PAINTING.format(1)},3\n")


@pytest.mark.parametrize("beside", [False, True])
def test_lists_in_or_beside_the_root(root, beside):
    plain, _ = listed(root)
    write_lists(root.rpartition("/")[0] if beside else root)
    items, rejected = listed(root)
    assert not rejected
    assert [(item.style, item.genre, item.artist) for item in items.values()] == [
        ("Analytical_Cubism", None, "juan-gris"),
        ("Cubism", "still_life", "Juan_Gris"),
        ("Cubism", None, "juan-gris"),
    ]
    assert items[PAINTING.format(2)] == plain[PAINTING.format(2)]


def test_entries_that_cannot_be_used_are_listed(root):
    write_lists(root)
    lines = [f"{PAINTING.format(2)},99", "no number", "../up.jpg,0", "Cubism/gone.jpg,7", f"{PAINTING.format(0)},7", "Cubism/gone.jpg,x"]
    put(root, "style_val.csv", "\n".join(lines))
    items, rejected = listed(root)
    assert items[PAINTING.format(2)].style == "Cubism"
    assert [(entry.path, entry.reason) for entry in rejected] == [
        ("Cubism/gone.jpg", "missing file"),
        ("style_val.csv#0", "unknown class"),
        ("style_val.csv#1", "broken list entry"),
        ("style_val.csv#2", "unsafe path"),
        ("style_val.csv#4", "contradictory class"),
        ("style_val.csv#5", "broken list entry"),
    ]
    assert "style_val.csv#3" in rejected[0].detail


def test_other_lists_give_other_parts(root, tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    before = plan_source(workspace, "art", "wikiart", root)
    write_lists(root)
    put(root, "genre_train.csv", "Cubism/gone.jpg,9\n")
    (after,) = plan_source(workspace, "art", "wikiart", root)
    assert [after] != before
    outcome = ingest_part(workspace, "art", after)
    assert (outcome.rows, outcome.dropped) == (3, 1)
    assert workspace.table("rejected", "art").read()["reason"].to_list() == ["missing file"]


@needs_shared_data
def test_the_public_files_are_read_as_they_are(tmp_path):
    """Their heads name paintings that do not lie here: each ends as a missing file, with its list."""
    root = make_wikiart(str(tmp_path / "art"), 1)
    for task in ("style", "genre"):
        put(root, f"{task}_class.txt", (SHARED_DATA / f"wikiart_lists/{task}_class.txt").read_bytes())
        put(root, f"{task}_val.csv", (SHARED_DATA / f"wikiart_lists/{task}_val_head.csv").read_bytes())
    items, rejected = listed(root)
    assert len(items) == 1
    assert {entry.reason for entry in rejected} == {"missing file"}
    lines = (SHARED_DATA / "wikiart_lists/style_val_head.csv").read_text() + (SHARED_DATA / "wikiart_lists/genre_val_head.csv").read_text()
    assert len(rejected) == len({line.rpartition(",")[0] for line in lines.splitlines()})
