"""An evaluation holds a slot while its networks look at pictures, and at no other time."""

from collections.abc import Callable

import pytest

from coemogen_core.evaluation import evaluate, sample_pictures
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part, select_reference
from coemogen_core.evaluation.run_files import evaluate_real_images, evaluate_samples
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.report.report_workspace import RECIPE, RUNS, evaluated_run
from tests.recorded_slot import RecordedSlot

OTHER = RECIPE.model_copy(update={"seed": 5})
EMOGEN = RECIPE.model_copy(update={"protocol": "emogen"})


@pytest.fixture
def selection(workspace: Workspace, extractors: ExtractorSet, png: Callable[..., bytes]) -> ReferenceSelection:
    """Of a run that `RECIPE` has measured."""
    evaluated_run(workspace, extractors, png)
    return select_reference(workspace, "photos", RECIPE.minimum_reference, RECIPE.protocol)


@pytest.fixture
def watched(slot: RecordedSlot, monkeypatch: pytest.MonkeyPatch) -> RecordedSlot:
    """Sees whatever asks a network."""
    monkeypatch.setattr(sample_pictures, "compute_features", slot.watch(sample_pictures.compute_features))
    monkeypatch.setattr(evaluate, "measure_pairs", slot.watch(evaluate.measure_pairs))
    return slot


def measure(
    workspace: Workspace, selection: ReferenceSelection, recipe: EvaluationRecipe, extractors: ExtractorSet, slot: RecordedSlot
) -> None:
    for part in selection.parts:
        reference_part(workspace, selection, part, recipe, extractors, slot=slot)
    evaluate_real_images(workspace, selection, recipe, extractors, slot=slot)
    evaluate_samples(workspace, RUNS["sd"], "sd", selection, recipe, extractors, slot=slot)


def test_what_is_measured_takes_no_slot(
    workspace: Workspace, selection: ReferenceSelection, extractors: ExtractorSet, watched: RecordedSlot
) -> None:
    measure(workspace, selection, RECIPE, extractors, watched)
    assert (watched.seen, watched.entered) == ([], 0)


@pytest.mark.parametrize(("recipe", "pairs"), [(OTHER, 0), (EMOGEN, 2)])
def test_the_slot_is_held_while_networks_are_asked(
    workspace: Workspace,
    selection: ReferenceSelection,
    extractors: ExtractorSet,
    watched: RecordedSlot,
    recipe: EvaluationRecipe,
    pairs: int,
) -> None:
    measure(workspace, selection, recipe, extractors, watched)
    assert set(watched.seen) == {True}
    assert watched.entered == len(watched.seen) == len(selection.parts) + 8 + pairs  # pairs of the real images, and of the samples


def test_features_that_another_run_wrote_meanwhile_are_read(
    workspace: Workspace, selection: ReferenceSelection, extractors: ExtractorSet, slot: RecordedSlot
) -> None:
    part = selection.parts[0]
    slot.while_waiting = lambda: reference_part(workspace, selection, part, OTHER, extractors)
    outcome = reference_part(workspace, selection, part, OTHER, extractors, slot=slot)
    assert (outcome.reused, outcome.rows) == (True, 48)
