"""What a run uses now, or what a kept version was made with, is left alone however old its files are."""

import shutil
from pathlib import Path

import pytest

from coemogen_core.classifier.classifier_store import CARD, ClassifierCard
from coemogen_core.classifier.emotion_probe import ClassifierMetrics, ProbeRecipe
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import mark_current, use_version
from coemogen_core.data.part_plan import remove_cut
from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.workspace import Workspace
from coemogen_core.upkeep import unreferenced as upkeep
from coemogen_core.upkeep.unreferenced import find_unreferenced, remove_unreferenced
from tests.coemogen_core.curation.curated_art import CLASSIFIER, ENCODER, PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.upkeep.old_workspace import GONE, let_time_pass, listed, plan

OTHER_ENCODER = "clip-0123456789ab"
OTHER_CLASSIFIER = "probe-0123456789ab"
EARLIER = RECIPE.model_copy(update={"drop_fraction": 0.5})


@pytest.fixture
def old(tmp_path: Path) -> tuple[Workspace, str]:
    """A workspace in which all was written 10 days ago, and its version that is not current any more."""
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    plan(workspace, 10, PARTS)
    earlier = decide(workspace, SOURCE, PARTS, EARLIER).version
    workspace.write_file(b"x" * 10, "features", "emoart", f"features-0123456789ab.{earlier}.all", f"{PARTS[0]}.safetensors")
    mark_current(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    let_time_pass(workspace, 10)
    return workspace, earlier


@pytest.mark.parametrize("use", ["decide", "train"])
def test_a_version_that_a_run_comes_back_to(old, use):
    workspace, earlier = old
    places = {f"decisions/emoart/{earlier}", f"features/emoart/features-0123456789ab.{earlier}.all"}
    assert {table for table, _ in listed(workspace, 7)} == places
    if use == "decide":
        assert decide(workspace, SOURCE, PARTS, EARLIER).reused
    else:
        use_version(workspace, "emoart", earlier)
    assert listed(workspace, 7) == {}
    remove_unreferenced(workspace, find_unreferenced(workspace, 7))
    assert decide(workspace, SOURCE, PARTS, EARLIER).reused
    let_time_pass(workspace, 8)
    assert {table for table, _ in listed(workspace, 7)} == places


def test_a_version_that_a_run_comes_back_to_between_listing_and_removal(old):
    workspace, _ = old
    found = find_unreferenced(workspace, 7)
    assert decide(workspace, SOURCE, PARTS, EARLIER).reused
    assert remove_unreferenced(workspace, found) == []
    assert decide(workspace, SOURCE, PARTS, EARLIER).reused
    let_time_pass(workspace, 10)
    assert {each.table for each in remove_unreferenced(workspace, found)} == {each.table for each in found}


def test_what_a_version_names_that_a_run_comes_back_to(tmp_path):
    workspace = Workspace(str(tmp_path / "workspace"))
    build_art(workspace)
    for table, ours, other in (("alignment", ENCODER, OTHER_ENCODER), ("emotion_scores", CLASSIFIER, OTHER_CLASSIFIER)):
        shutil.copytree(tmp_path / "workspace" / table / SOURCE / ours, tmp_path / "workspace" / table / SOURCE / other)
    plan(workspace, 10, [PARTS[1]])
    selection = RECIPE.selection.model_copy(update={"classifier_id": OTHER_CLASSIFIER})
    earlier = RECIPE.model_copy(update={"encoder_id": OTHER_ENCODER, "selection": selection})
    decide(workspace, SOURCE, PARTS, earlier)
    mark_current(workspace, "emoart", decide(workspace, SOURCE, [PARTS[1]], RECIPE).version)
    let_time_pass(workspace, 10)
    of_the_plan = (f"images/{SOURCE}", upkeep.NO_PLAN)  # what was decided needs rows, not pictures
    assert {f"alignment/{SOURCE}/{OTHER_ENCODER}", f"emotion_scores/{SOURCE}/{OTHER_CLASSIFIER}", f"captions/{SOURCE}"} < {
        table for table, _ in listed(workspace, 7)
    }
    decide(workspace, SOURCE, PARTS, earlier)
    assert set(listed(workspace, 7)) == {of_the_plan}


@pytest.fixture
def labelled(workspace: Workspace) -> Workspace:
    """A current version that selects by a classifier, whose labelled source has a current version of another encoder."""
    build_art(workspace)
    plan(workspace, 10, PARTS)
    mark_current(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)
    none = {"accuracy": 0, "macro_accuracy": 0, "majority_share": 0, "ece_before": 0, "ece_after": 0, "nll_before": 0, "nll_after": 0}
    measured = ClassifierMetrics(rows=1, **none, confusion=[[0] * 8] * 8)
    card = ClassifierCard(
        classifier_id=CLASSIFIER,
        encoder_id=OTHER_ENCODER,
        emotions=EMOTIONS,
        temperature=1,
        source=SOURCE,
        parts=[GONE],
        recipe=ProbeRecipe(),
        strength=1,
        train_rows=1,
        val=measured,
        test=measured,
    )
    workspace.write_json(card.model_dump(mode="json"), "classifiers", CLASSIFIER, CARD)
    for encoder in (ENCODER, OTHER_ENCODER, "clip-fedcba987654"):
        for part in (PARTS[0], GONE, "part-elsewhere"):
            workspace.write_file(b"x" * 10, "embeddings", SOURCE, encoder, f"{part}.parquet")
    return workspace


@pytest.mark.every_storage
def test_what_a_classifier_was_trained_on(labelled):
    assert listed(labelled) == {
        (f"embeddings/{SOURCE}/clip-fedcba987654", upkeep.NO_ENCODER): 2,
        (f"embeddings/{SOURCE}/clip-fedcba987654", upkeep.NO_PLAN): 1,
        (f"embeddings/{SOURCE}/{OTHER_ENCODER}", upkeep.NO_PLAN): 1,
        (f"embeddings/{SOURCE}/{ENCODER}", upkeep.NO_PLAN): 1,
    }


@pytest.mark.every_storage
def test_a_classifier_trained_on_another_source(labelled):
    """Its embeddings there are in use, though no version on that source names the encoder."""
    card = labelled.read_json("classifiers", CLASSIFIER, CARD)
    labelled.write_json(card | {"source": "labelled"}, "classifiers", CLASSIFIER, CARD)
    plan(labelled, 10, [GONE], "labelled")
    record = labelled.read_json("decisions", "emoart", f"{labelled.list_folders('decisions', 'emoart')[0]}.recipe.json")
    recipe = record["recipe"] | {"dataset": "emoset", "selection": record["recipe"]["selection"] | {"classifier_id": None}}
    version = "emoset-0123456789ab"
    labelled.write_json(
        record | {"version": version, "source": "labelled", "recipe": recipe}, "decisions", "emoset", f"{version}.recipe.json"
    )
    mark_current(labelled, "emoset", version)
    for encoder in (ENCODER, OTHER_ENCODER, "clip-fedcba987654"):
        labelled.write_file(b"x" * 10, "embeddings", "labelled", encoder, f"{GONE}.parquet")
    found = {table for table, _ in listed(labelled) if table.startswith("embeddings/labelled")}
    assert found == {"embeddings/labelled/clip-fedcba987654"}
    remove_cut(labelled, "labelled", 10)
    assert not any("labelled" in table for table, _ in listed(labelled))
