"""Every recipe of the core, found by importing all of it: changing a field changes the id, but for those that are marked otherwise."""

import importlib
import shutil
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.curation.decisions import CurationRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.paper_extractors import PaperExtractors
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import ReferenceSelection
from coemogen_core.lab import models_folder
from coemogen_core.methods.dreambooth_lora import DreamBoothRecipe
from coemogen_core.methods.emogen_like import EmoGenLikeRecipe
from coemogen_core.methods.prompted import PromptFile
from coemogen_core.methods.textual_inversion import TextualInversionRecipe
from coemogen_core.model.base_models import BaseModels
from coemogen_core.recipe import IdentifiedOtherwise, NotIdentifying, Recipe, Unordered, recipe_id
from coemogen_core.report.build import CorpusVersion
from coemogen_core.storage.model_source import fingerprint
from coemogen_core.training.features import FeatureRecipe
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.recipes import TrainingRecipe
from docs.packages import modules


def recipe_classes() -> list[type[Recipe]]:
    for name in modules():
        if name.startswith("coemogen_core.") and not name.endswith("__main__"):
            importlib.import_module(name)
    return sorted({each for each in _below(Recipe) if each.__module__.startswith("coemogen_core.")}, key=lambda each: each.__name__)


def _below(kind: type[Recipe]) -> Iterator[type[Recipe]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


CLASSES = recipe_classes()
FIELDS = [(each, name) for each in CLASSES for name in each.model_fields]
LAB = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
STEPS = {"steps": 8, "batch_size": 4}
PATHS = dict.fromkeys(("inception", "alexnet", "lpips_linear", "imagenet_resnet50", "places365_resnet50", "emotion_head"), "weights.pth")
GIVEN: dict[type[Recipe], dict[str, Any]] = {
    BaseModels: {"diffusion": "lab:diffusion", "clip": "lab:clip"},
    CaptionPolicy: {"choose": "latest", "recipe_ids": ("caption-b", "caption-a")},
    CaptionRecipe: {"model": "lab:captioner", "temperature": 0.5},
    CorpusVersion: {"dataset": "emoset", "version": "v1"},
    CurationRecipe: {"dataset": "emoset", "selection": Selection(), "captions": CaptionPolicy(choose="latest"), "encoder_id": "clip-a"},
    DreamBoothRecipe: STEPS,
    EfficientNetRecipe: {"backbone": "efficientnet-lite0"},
    EmoGenLikeRecipe: STEPS,
    EncoderRecipe: {"model": "lab:clip"},
    FeatureRecipe: {"models": LAB, "splits": ("train", "val")},
    OptimisationRecipe: STEPS,
    PaperExtractors: PATHS,
    PromptFile: {"model": "m", "request": "r", "prompts": dict.fromkeys(EMOTIONS, ("a", "b"))},
    ReferenceSelection: {"source": "photos", "split": "test", "parts": ("a", "b"), "images": 9, "rows": "0"},
    Selection: {"emotions": ("fear", "awe")},
    TextualInversionRecipe: STEPS,
    TrainingRecipe: STEPS,
}
"""What a class needs besides its defaults."""
OTHER_TEXTS = ("other", "x{emotion}{word}", "prior-short.v1", "plain-short.v1", "structured.v1", "lab:clip")
OTHER: dict[tuple[type[Recipe], str], Any] = {
    (CurationRecipe, "captions"): CaptionPolicy(choose="best_alignment"),
    (CurationRecipe, "selection"): Selection(classifier_id="probe-a"),
    (FeatureRecipe, "models"): LAB.model_copy(update={"diffusion": "org/diffusion"}),
    (PromptFile, "prompts"): dict.fromkeys(EMOTIONS, ("b", "a")),
    (CaptionPolicy, "recipe_ids"): ("caption-a",),
    (ReferenceSelection, "parts"): ("a", "c"),
}
"""Another value, where none can be derived from the field."""


def extractors(**identities: str) -> ExtractorSet:
    return types.SimpleNamespace(identities=lambda: {"fid": "inception", **identities})  # type: ignore[return-value]


IDS: dict[type[Recipe], Callable[[Any], str]] = {
    CaptionRecipe: lambda recipe: recipe.recipe_id("local"),
    EncoderRecipe: lambda recipe: recipe.encoder_id,
    EvaluationRecipe: lambda recipe: recipe_id("numbers", recipe.numbers_identity(extractors())),
    FeatureRecipe: lambda recipe: recipe.feature_id("v1"),
}


def id_of(recipe: Recipe) -> str:
    """The id that names what the recipe makes; of those that are only part of others, that of one that has it."""
    return IDS.get(type(recipe), lambda of: recipe_id("of", {"recipe": of}))(recipe)


def new(kind: type[Recipe], **changed: Any) -> Recipe:
    return kind.model_validate({**GIVEN.get(kind, {}), **changed})


def changed_in(recipe: Recipe, name: str) -> Recipe:
    """The recipe with another valid value in one field."""
    kind = type(recipe)
    if (kind, name) in OTHER:
        return new(kind, **{name: OTHER[kind, name]})
    for value in _candidates(getattr(recipe, name), kind.model_fields[name].annotation):
        try:
            other = new(kind, **{name: value})
        except (ValidationError, FileNotFoundError):
            continue
        if getattr(other, name) != getattr(recipe, name):
            return other
    pytest.fail(f"no other value of {kind.__name__}.{name} is known: give one in OTHER of this test")


def _candidates(value: Any, annotation: Any) -> Iterator[Any]:
    if isinstance(value, Recipe):
        yield from (changed_in(value, name) for name, field in type(value).model_fields.items() if not marks(field))
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (2 * value, value + 1, value / 2, (1 + value) / 2)
    elif isinstance(value, tuple):
        yield from (value[1:], value[:-1], (*value, "other"))
    elif isinstance(value, dict):
        yield {**value, "other": "other"}
    for kind in _leaves(annotation):
        if get_origin(kind) is Literal:
            yield from get_args(kind)
        yield from {bool: (True,), int: (3, 8), float: (0.5,), str: OTHER_TEXTS}.get(kind, ())
        if isinstance(kind, type) and issubclass(kind, Recipe):
            yield new(kind)
        if get_origin(kind) is tuple:
            yield from ((0.5,), ("train",), OTHER_TEXTS[-1:])


def _leaves(annotation: Any) -> Iterator[Any]:
    """The members of unions, and what is annotated."""
    if get_origin(annotation) in (Literal, tuple, dict, None):
        yield annotation
    else:
        for each in get_args(annotation):
            yield from _leaves(each)


def marks(field: FieldInfo) -> set[Any]:
    return {NotIdentifying, IdentifiedOtherwise} & {mark for mark in field.metadata if isinstance(mark, type)}


def is_constant(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


OTHERWISE = [(kind, name) for kind, name in FIELDS if IdentifiedOtherwise in kind.model_fields[name].metadata]
WALKED = [each for each in FIELDS if each not in OTHERWISE and not is_constant(each[0].model_fields[each[1]])]


@pytest.mark.parametrize(("kind", "name"), WALKED, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_a_field_changes_the_id_unless_it_is_marked(kind: type[Recipe], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = "coemogen_core.encoders.efficientnet._weights_file"
    monkeypatch.setattr(weights, lambda: models_folder("clip") / "config.json")  # whether the extra is installed or not
    recipe = new(kind)
    assert (id_of(changed_in(recipe, name)) != id_of(recipe)) == (NotIdentifying not in kind.model_fields[name].metadata)


@pytest.mark.parametrize(
    ("kind", "name"), [each for each in FIELDS if Unordered in each[0].model_fields[each[1]].metadata], ids=lambda each: str(each)
)
def test_the_order_of_a_set_changes_no_id(kind: type[Recipe], name: str) -> None:
    recipe = new(kind)
    items = getattr(recipe, name)
    assert len(items) > 1
    assert id_of(new(kind, **{name: tuple(reversed(items))})) == id_of(recipe)


def changed_copy(model: str, folder: Path) -> tuple[str, str]:
    """A copy of a model of the lab, and one with other content, both in folders of their own."""
    for name in ("same", "other"):
        shutil.copytree(models_folder(model), folder / model / name)  # type: ignore[arg-type]
    (folder / model / "other" / "note.txt").write_text("other")
    return str(folder / model / "same"), str(folder / model / "other")


REVISED: dict[tuple[type[Recipe], str], tuple[str, str]] = {
    (CaptionRecipe, "revision"): ("model", "captioner"),
    (EncoderRecipe, "revision"): ("model", "clip"),
    (BaseModels, "clip_revision"): ("clip", "clip"),
    (BaseModels, "diffusion_revision"): ("diffusion", "diffusion"),
}
"""By field that holds a revision, the field that holds the model."""
MODELS = {(kind, field): model for (kind, _), (field, model) in REVISED.items()}
OF_THE_EXTRACTORS = {
    *((EvaluationRecipe, name) for name in ("extractors", "paper", "clip_model", "probe")),
    *((PaperExtractors, name) for name in (*PATHS, "clip", "clip_revision")),
}
"""The networks say what identifies them; `test_paper_extractors` and `test_protocol` test what they say."""
OF_THE_SELECTION = {(EvaluationRecipe, "minimum_reference")}


@pytest.mark.parametrize(
    ("kind", "name"),
    OTHERWISE,
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_what_is_identified_otherwise_counts_by_its_content(kind: type[Recipe], name: str, tmp_path: Path) -> None:
    recipe = new(kind)
    if (kind, name) in MODELS:
        same, other = changed_copy(MODELS[kind, name], tmp_path)
        assert id_of(new(kind, **{name: same})) == id_of(recipe) != id_of(new(kind, **{name: other}))
    elif (kind, name) in REVISED:
        first, second = (new(kind, **{REVISED[kind, name][0]: "org/model", name: commit}) for commit in ("a", "b"))
        assert id_of(first) != id_of(second)
    elif (kind, name) in OF_THE_SELECTION:
        assert id_of(ReferenceSelection(**GIVEN[ReferenceSelection])) != id_of(new(ReferenceSelection, split=None))
    else:
        assert (kind, name) in OF_THE_EXTRACTORS, "say in this test what hashes its content"
        ids = {recipe_id("numbers", EvaluationRecipe().numbers_identity(extractors(fid=found))) for found in ("weights@a", "weights@b")}
        assert len(ids) == 2


def test_the_autoencoder_and_clip_identify_features_and_the_unet_does_not(tmp_path: Path) -> None:
    same, other = changed_copy("diffusion", tmp_path)
    features = FeatureRecipe(models=LAB)
    assert FeatureRecipe(models=LAB.model_copy(update={"diffusion": other})).feature_id("v1") == features.feature_id("v1")
    (Path(same) / "vae" / "note.txt").write_text("other")
    assert fingerprint(f"{same}/vae") != fingerprint(f"{other}/vae")
    assert FeatureRecipe(models=LAB.model_copy(update={"diffusion": same})).feature_id("v1") != features.feature_id("v1")


def test_what_has_no_effect_is_not_part_of_a_captions_id() -> None:
    greedy = CaptionRecipe(model="lab:captioner")
    assert greedy.model_copy(update={"seed": 1}).recipe_id("local") == greedy.recipe_id("local")
    served = greedy.model_copy(update={"precision": "bfloat16"})
    assert served.recipe_id("server") == greedy.recipe_id("server")
    assert served.recipe_id("local") != greedy.recipe_id("local")


def test_neighbours_that_a_protocol_does_not_ask_for_are_not_part_of_its_id() -> None:
    ids = {
        protocol: {id_of(EvaluationRecipe(protocol=protocol, lpips_neighbours=neighbours)) for neighbours in (4, 8)}
        for protocol in ("corrected", "emogen")
    }
    assert [len(found) for found in ids.values()] == [2, 1]
