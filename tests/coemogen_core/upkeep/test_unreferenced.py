import os
import time
from pathlib import Path

import pytest

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import mark_current
from coemogen_core.data.picture_index import pictures_table
from coemogen_core.publication.publication import publish
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep import unreferenced as upkeep
from coemogen_core.upkeep.unreferenced import find_old_cuts, find_unreferenced, forget_cuts, remove_unreferenced
from schemas.tables import EmotionScores, Pictures
from tests.coemogen_core.curation.curated_art import CLASSIFIER, ENCODER, PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.upkeep.old_workspace import GONE, OLDER, copy_part, let_time_pass, listed, plan

pytestmark = pytest.mark.every_storage
LATER = RECIPE.model_copy(update={"drop_fraction": 0.5})


def everything(workspace: Workspace) -> set[str]:
    tables = [name for name in workspace.list_folders() if name != "decisions"]
    return {f"{name}/{part}" for name in tables for part in workspace.table(name).parts()}


def test_parts_in_no_plan_are_listed_by_table_and_nothing_else(art):
    found = listed(art)
    assert found == {
        (f"images/{SOURCE}", upkeep.NO_PLAN): 1,
        (f"emotion_scores/{SOURCE}/{CLASSIFIER}", upkeep.NO_PLAN): 1,
        (f"captions/{SOURCE}", upkeep.NO_PLAN): 2,
        (f"alignment/{SOURCE}/{ENCODER}", upkeep.NO_PLAN): 2,
        (f"pictures/decoder-2/{SOURCE}", upkeep.NO_PLAN): 1,
    }
    assert all(each.bytes > 100 for each in find_unreferenced(art, older_than_days=0))


def test_removal_takes_what_was_listed_and_leaves_the_rest(art):
    before = everything(art)
    remove_unreferenced(art, find_unreferenced(art, older_than_days=0))
    assert {name for name in before if GONE in name} == before - everything(art)
    assert listed(art) == {}


def test_what_a_published_or_current_version_names_stays_though_its_parts_left_the_plan(art):
    first = decide(art, SOURCE, PARTS, RECIPE).version
    publish(art, "emoart", first, SOURCE)
    second = decide(art, SOURCE, [PARTS[1]], LATER).version
    mark_current(art, "emoart", second)
    third = decide(art, SOURCE, PARTS, RECIPE.model_copy(update={"drop_fraction": 0.3})).version
    plan(art, 10, [PARTS[1]])
    found = listed(art)
    assert found[f"decisions/emoart/{third}", upkeep.NO_VERSION] == 3
    assert {why for table, why in found if table.startswith("decisions/")} == {upkeep.NO_VERSION}
    assert not any(first in table or second in table for table, _ in found)
    assert found[f"captions/{SOURCE}", upkeep.NO_PLAN] == 2  # of the part that is gone; those of the published version's part stay
    remove_unreferenced(art, find_unreferenced(art, older_than_days=0))
    assert art.table("captions", SOURCE).parts(within=PARTS[0])
    assert art.table("curated", "emoart", first, "train").count() == 12
    assert decide(art, SOURCE, [PARTS[1]], LATER).reused


def test_tables_of_an_encoder_or_a_classifier_that_no_kept_version_names(art):
    rows = art.table("emotion_scores", SOURCE, CLASSIFIER).read_part(PARTS[0])
    art.table("emotion_scores", SOURCE, "probe-0123456789ab").write_part(PARTS[0], rows, EmotionScores)
    assert (f"emotion_scores/{SOURCE}/probe-0123456789ab", upkeep.NO_CLASSIFIER) not in listed(
        art
    )  # nothing was decided yet: it may be next
    mark_current(art, "emoart", decide(art, SOURCE, PARTS, RECIPE).version)
    found = listed(art)
    assert found[f"emotion_scores/{SOURCE}/probe-0123456789ab", upkeep.NO_CLASSIFIER] == 1
    assert (f"emotion_scores/{SOURCE}/{CLASSIFIER}", upkeep.NO_CLASSIFIER) not in found


def test_features_go_with_their_version(art):
    version = decide(art, SOURCE, PARTS, RECIPE).version
    mark_current(art, "emoart", version)
    for name in (f"features-0123456789ab.{version}.train", f"features-0123456789ab.{OLDER}.train"):
        art.write_file(b"x" * 10, "features", "emoart", name, f"{PARTS[0]}.safetensors")
    assert listed(art)[f"features/emoart/features-0123456789ab.{OLDER}.train", upkeep.NO_VERSION] == 1
    assert not any(version in table for table, _ in listed(art))


def test_features_of_real_pictures_go_with_their_part(art):
    plan(art, 10, ["part-fair"], "art-fair")
    places = [("art", GONE), ("art-fair", GONE), ("art-fair", PARTS[0]), ("art-fair", "part-fair"), ("x", GONE)]
    for source, part in places:
        art.write_file(b"x" * 10, "evaluation", "features-0123456789ab", "real", source, f"{part}-0123456789ab.safetensors")
    found = [each for each in find_unreferenced(art, older_than_days=0) if each.table.startswith("evaluation")]
    assert [(each.table, each.why) for each in found] == [("evaluation/features-0123456789ab", upkeep.NO_PLAN)]
    gone = (places[0], places[2], places[1])
    assert sorted("/".join(path.split("/")[-2:]) for path in found[0].paths) == sorted(
        f"{source}/{part}-0123456789ab.safetensors" for source, part in gone
    )


def test_young_files_are_left_alone(tmp_path):
    workspace = Workspace(str(tmp_path))
    build_art(workspace)
    plan(workspace, 10, PARTS[1:])
    old = Path(workspace.uri, "images", SOURCE, f"{PARTS[0]}.parquet")
    assert find_unreferenced(workspace, older_than_days=1) == []
    os.utime(old, (1, time.time() - 2 * 86_400))
    assert [(each.table, each.files) for each in find_unreferenced(workspace, older_than_days=1)] == [(f"images/{SOURCE}", 1)]


def test_plans_of_part_sizes_that_nobody_uses_can_be_forgotten(art):
    plan(art, 20, [GONE])
    assert [(cut.source, cut.part_size) for cut in find_old_cuts(art, older_than_days=0)] == [(SOURCE, 10)]
    assert find_old_cuts(art, older_than_days=1) == []
    assert listed(art) == {}
    forget_cuts(art, find_old_cuts(art, older_than_days=0))
    assert listed(art)[f"images/{SOURCE}", upkeep.NO_PLAN] == 2
    assert find_old_cuts(art, older_than_days=0) == []


def test_a_source_that_nobody_planned_is_left_alone(workspace):
    build_art(workspace)
    assert listed(workspace) == {}


def test_the_list_of_a_part_stays_as_long_as_rows_stand_under_its_name(tmp_path):
    """Else a part of that name that comes back with other content would be taken for this one."""
    workspace = Workspace(str(tmp_path))
    build_art(workspace)
    plan(workspace, 10, PARTS)
    rows = workspace.table("images", SOURCE).read(["image_id", "width", "height"], [PARTS[0]])
    pictures_table(workspace, SOURCE).write_part(GONE, rows, Pictures)
    let_time_pass(workspace, 10)
    lists = f"{pictures_table(workspace, '').uri.removeprefix(workspace.uri).strip('/')}/{SOURCE}"
    assert {table for table, _ in listed(workspace, 7)} == {lists}
    copy_part(workspace, ("emotion_scores", SOURCE, CLASSIFIER), PARTS[0], GONE)
    assert listed(workspace, 7) == {}
