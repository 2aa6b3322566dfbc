"""What no stage has written is nobody's to remove, and stops nothing."""

import pytest

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import DecisionsRecord, mark_current, read_record
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep.unreferenced import find_unreferenced, remove_unreferenced
from tests.coemogen_core.curation.curated_art import CLASSIFIER, ENCODER, PARTS, RECIPE, SOURCE
from tests.coemogen_core.upkeep.old_workspace import GONE, OLDER, listed

pytestmark = pytest.mark.every_storage
TABLES = ("images", "rejected", "pictures", "embeddings", "emotion_scores", "captions", "alignment", "evaluation", "near_duplicates")
OF_VERSIONS = ("decisions", "features", "curated")
ANYWHERE = ("README.txt", "part-gone.parquet", "a b/c")
IN_A_SOURCE = ("Thumbs.db", "notes.txt", ".DS_Store", "a/b/c/d/e.parquet", "backup/x.txt")
IN_A_DATASET = ("Thumbs.db", "notes.txt", "a.b.c", "x.recipe.json")
STRAYS = [
    *(f"{table}/{name}" for table in (*TABLES, "decisions", "features", "curated") for name in ANYWHERE),
    *(f"{table}/{SOURCE}/{name}" for table in TABLES for name in IN_A_SOURCE),
    *(f"{table}/emoart/{name}" for table in ("decisions", "features", "curated") for name in IN_A_DATASET),
    f"images/{SOURCE}/{GONE} (copy).parquet",
    f"images/{SOURCE}/_plan/{GONE}.json",
    f"images/{SOURCE}/_backup/{GONE}.parquet",
    f"embeddings/{SOURCE}/{ENCODER}/{GONE}.csv",
    f"embeddings/{SOURCE}/of-mine/{GONE}.parquet",
    f"emotion_scores/{SOURCE}/{CLASSIFIER}/.{GONE}.parquet.tmp",
    f"captions/{SOURCE}/{GONE}/notes.parquet",
    f"captions/{SOURCE}/{GONE}/.caption-000000000000.lock",
    f"captions/{SOURCE}/{GONE}.parquet",
    f"alignment/{SOURCE}/{ENCODER}/{GONE}/x.csv",
    f"pictures/mine/{SOURCE}/{GONE}.parquet",
    "pictures/decoder-2/_index/0123456789abcdef/keys",
    f"evaluation/features-0123456789ab/real/{GONE}.safetensors",
    f"evaluation/features-0123456789ab/fake/{SOURCE}-all/{GONE}.safetensors",
    f"features/emoart/features-0123456789ab/{GONE}.safetensors",
    f"features/emoart/features-0123456789ab.{OLDER}/{GONE}.safetensors",
    f"features/emoart/features-0123456789ab.{OLDER}.all/notes.txt",
    f"decisions/emoart/{OLDER}.notes.txt",
    f"decisions/emoart/{OLDER}/recipe.json",
    f"decisions/emoart/backup/{PARTS[0]}.parquet",
    f"curated/emoart/{OLDER}/picture.jpg",
    f"curated/emoart/mine/train/{GONE}.parquet",
]


@pytest.fixture
def kept(art: Workspace) -> Workspace:
    """A source with a current version, of which nothing is left to remove."""
    mark_current(art, "emoart", decide(art, SOURCE, PARTS, RECIPE).version)
    remove_unreferenced(art, find_unreferenced(art, older_than_days=0))
    return art


def test_they_are_never_listed(kept):
    for stray in STRAYS:
        kept.write_file(b"x", *stray.split("/"))
    assert listed(kept) == {}


def test_a_file_where_a_folder_should_be(workspace):
    for table in (*TABLES, *OF_VERSIONS):
        workspace.write_file(b"x", table)
    assert listed(workspace) == {}


def test_what_is_gone_meanwhile_needs_no_removal(art):
    found = find_unreferenced(art, older_than_days=0)
    remove_unreferenced(art, found[1:])
    remove_unreferenced(art, found)
    assert listed(art) == {}


def test_a_version_that_goes_while_references_are_read(kept, monkeypatch):
    """Somebody else removes it at the same time."""
    version = decide(kept, SOURCE, PARTS, RECIPE.model_copy(update={"drop_fraction": 0.5})).version

    def read(workspace: Workspace, dataset: str, name: str) -> DecisionsRecord:
        if name == version:
            workspace.remove_file("decisions", dataset, f"{name}.recipe.json")
        return read_record(workspace, dataset, name)

    monkeypatch.setattr("coemogen_core.upkeep.references.read_record", read)
    assert listed(kept, older_than_days=1) == {}
