"""What runs have left that were broken off, or that nobody comes back to."""

import numpy as np
import pytest

from coemogen_core.captioning.journal import journal_path
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import mark_current
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe, group_near_duplicates
from coemogen_core.publication.publication import publish
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep import unreferenced as upkeep
from coemogen_core.upkeep.unreferenced import find_unreferenced, remove_unreferenced
from schemas.tables import embeddings_schema
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.curation.small_tables import CAPTION_RECIPE
from tests.coemogen_core.upkeep.old_workspace import GONE, OLDER, let_time_pass, listed, plan

ALIKE = NearDuplicateRecipe(max_distance=0.01)
WITH_GROUPS = RECIPE.model_copy(update={"near_duplicates": ALIKE})


@pytest.fixture
def old(tmp_path) -> Workspace:
    """A planned source on a disk, with a version that is current and published."""
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    plan(workspace, 10, PARTS)
    version = decide(workspace, SOURCE, PARTS, RECIPE).version
    publish(workspace, "emoart", version, SOURCE)
    mark_current(workspace, "emoart", version)
    return workspace


def test_a_publication_that_was_broken_off(old):
    for name in (f"train/{PARTS[0]}.parquet", "README.md"):
        old.write_file(b"x" * 10, "curated", "emoart", OLDER, *name.split("/"))
    let_time_pass(old, 10)
    half = {(f"curated/emoart/{OLDER}", upkeep.HALF_PUBLISHED): 2}
    assert listed(old, 7) == half
    old.write_file(b"x" * 10, "curated", "emoart", OLDER, "train", f"{PARTS[1]}.parquet")  # the run has gone on
    assert listed(old, 7) == {}
    let_time_pass(old, 10)
    remove_unreferenced(old, find_unreferenced(old, 7))
    assert old.list_folders("curated", "emoart") != []
    assert listed(old) == {}


def test_a_publication_that_a_run_is_about_to_go_on_with(old):
    later = RECIPE.model_copy(update={"drop_fraction": 0.5})
    version = decide(old, SOURCE, PARTS, later).version
    old.write_file(b"x" * 10, "curated", "emoart", version, "train", f"{PARTS[0]}.parquet")
    let_time_pass(old, 10)
    assert (f"curated/emoart/{version}", upkeep.HALF_PUBLISHED) in listed(old, 7)
    decide(old, SOURCE, PARTS, later)
    assert listed(old, 7) == {}
    let_time_pass(old, 10)
    mark_current(old, "emoart", version)
    assert listed(old, 7) == {}


def test_answers_in_journals_of_parts_that_are_gone(old):
    table = old.table("captions", SOURCE).uri
    for part in (GONE, PARTS[0]):
        journal = journal_path(table, part, CAPTION_RECIPE)
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_bytes(b"x" * 10)
    assert listed(old, 7) == {}
    let_time_pass(old, 10)
    assert listed(old, 7) == {(f"captions/{SOURCE}", upkeep.JOURNALS): 1}
    remove_unreferenced(old, find_unreferenced(old, 7))
    assert not journal_path(table, GONE, CAPTION_RECIPE).exists()
    assert journal_path(table, PARTS[0], CAPTION_RECIPE).exists()


@pytest.mark.every_storage
def test_groups_of_near_duplicates_that_no_kept_version_names(workspace):
    build_art(workspace)
    for part in PARTS:
        ids = workspace.table("images", SOURCE).read(["image_id"], [part])
        rows = ids.with_columns(embedding=np.eye(16, dtype=np.float16)[: ids.height])
        workspace.table("embeddings", SOURCE, ENCODER).write_part(part, rows, embeddings_schema(16))
    plan(workspace, 10, PARTS)
    named, other = (
        group_near_duplicates(workspace, SOURCE, PARTS, ENCODER, recipe).part for recipe in (ALIKE, NearDuplicateRecipe(max_distance=0.02))
    )
    assert listed(workspace) == {}  # nothing was decided yet: either may be next
    version = decide(workspace, SOURCE, PARTS, WITH_GROUPS).version
    mark_current(workspace, "emoart", version)
    assert listed(workspace) == {(f"near_duplicates/{SOURCE}/{other}", upkeep.NO_GROUPS): 1}
    record = workspace.read_json("decisions", "emoart", f"{version}.recipe.json")
    assert record.pop("groups") == named
    workspace.write_json(record, "decisions", "emoart", f"{version}.recipe.json")
    assert listed(workspace) == {}  # a record of an earlier form does not say which it names
