"""The evaluation of any system's images, alone: a folder of pictures against real ones, without a run or a workspace of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coemogen_core.device import library_versions, peak_memory_mib
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.emogen_pairs import PictureAccess
from coemogen_core.evaluation.evaluate import evaluate_method, evaluate_reference
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.picture_sets import LeftOut, PictureSet, open_pictures
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.reference import load_reference, reference_part, select_reference, stored_reference
from coemogen_core.evaluation.sample_pictures import EvaluatedSet
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics

METHOD = "images"


@dataclass(frozen=True)
class AloneEvaluation:
    """The numbers, the pictures they are of, and what was left out of either set."""

    metrics: Metrics
    pictures: PictureSet
    evaluated: EvaluatedSet
    real: ImageFeatures
    left_out: tuple[LeftOut, ...]
    absent: tuple[str, ...]  # emotions without a picture


@dataclass(frozen=True)
class _Real:
    """Real images: their features, where single pictures are, and what to call them."""

    features: ImageFeatures
    pictures: PictureAccess
    source: str
    split: str | None
    left_out: list[LeftOut]


def evaluate_alone(
    images: str, reference: str, recipe: EvaluationRecipe, extractors: ExtractorSet, configuration: Mapping[str, Any] | None = None
) -> AloneEvaluation:
    """Measure a folder of pictures against real ones.

    Args:
        images: path or URI of a folder `<emotion>/*.png`.
        reference: the same, an EmoSet root, or `<workspace>/images/<source>` of a workspace, which keeps the features.
        recipe: protocol, seed, intervals.
        extractors: the networks of the recipe (`load_extractors`).
        configuration: what is written down with the numbers; by default the arguments.

    Raises:
        FileNotFoundError, NotADirectoryError: a folder does not exist.
        ValueError: a set has no labelled picture, or none that can be read.
    """
    pictures = open_pictures(images)
    features = pictures.features(recipe, extractors)
    emotions = [emotion for emotion, count in zip(EMOTIONS, pictures.counts(), strict=True) if count]
    real = _real_images(reference, recipe, extractors, emotions)
    measured = evaluate_method(features, real.features, extractors, recipe, pictures)
    metrics = Metrics(
        run_id="evaluate",
        protocol=recipe.protocol,
        seed=recipe.seed,
        confidence_level=recipe.confidence_level,
        methods={METHOD: measured},
        reference=evaluate_reference(real.features, real.source, real.split, extractors, recipe, real.pictures),
        peak_memory_mib=peak_memory_mib(),
        versions=library_versions(),
        configuration=dict(configuration or {"images": images, "reference": reference, "evaluation": recipe.model_dump(mode="json")}),
    )
    absent = tuple(emotion for emotion in EMOTIONS if emotion not in measured.per_emotion)
    evaluated = EvaluatedSet(features, pictures.places(recipe), pictures)
    return AloneEvaluation(metrics, pictures, evaluated, real.features, (*pictures.left_out, *real.left_out), absent)


def _real_images(reference: str, recipe: EvaluationRecipe, extractors: ExtractorSet, emotions: Sequence[Emotion]) -> _Real:
    workspace, source = _workspace_source(reference)
    if workspace is None:
        found = open_pictures(reference, recipe.protocol, recipe.minimum_reference, emotions)
        return _Real(found.features(recipe, extractors), found, found.name, found.split, found.left_out)
    selection = select_reference(workspace, source, recipe.minimum_reference, recipe.protocol, emotions=emotions)
    for part in selection.parts:
        reference_part(workspace, selection, part, recipe, extractors)
    features = load_reference(workspace, selection, recipe, extractors)
    return _Real(features, stored_reference(workspace, selection), source, selection.split, [])


def _workspace_source(reference: str) -> tuple[Workspace | None, str]:
    """The workspace and the source of `<workspace>/images/<source>` where that is a table with parts."""
    root, _, source = reference.rstrip("/").rpartition("/")
    above, _, table = root.rpartition("/")
    workspace = Workspace(above or ".")
    return (workspace, source) if table == "images" and workspace.table("images", source).parts() else (None, "")
