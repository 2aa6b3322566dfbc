"""One cell of a matrix: a method trained, drawn and measured with one seed. What stands in the workspace is not computed again."""

from collections.abc import Callable
from contextlib import nullcontext

from pydantic import Field

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.reference import ReferenceSelection, reference_part
from coemogen_core.evaluation.run_files import MethodEvaluation, evaluate_samples
from coemogen_core.evaluation.sample_pictures import sample_part, sample_rows
from coemogen_core.methods.method import Method, TrainingData
from coemogen_core.methods.sample_part import generate_part
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.trainer import Progress
from schemas.experiments import MeasuredMetric, MethodRun
from schemas.frozen_model import FrozenModel
from schemas.metrics import METRIC_NAMES

SEEDS_APART = 10_000  # between the first pictures of two seeds: they share no noise


class CellSettings(FrozenModel):
    """What all cells of a matrix have in common."""

    dataset: str = Field(min_length=1, description="training corpus, e.g. emoset, or several that are joined")
    feature_id: str = Field(min_length=1, description="its cached features")
    own_corpora: dict[str, tuple[str, str]] = Field(
        default_factory=dict, description="the same two for the methods that learn from another corpus, by name of the method"
    )
    emotions: tuple[Emotion, ...] = Field(
        default=EMOTIONS, min_length=1, description="emotions that every corpus has and the real images too: those that are drawn"
    )
    models: BaseModels = Field(description="base models")
    generation: GenerationRecipe = Field(description="how pictures are drawn")
    evaluation: EvaluationRecipe = Field(description="how they are measured")
    images_per_emotion: int = Field(ge=2, description="pictures of every cell, per emotion")
    first_seed: int = Field(default=0, ge=0, description="of the first picture of seed 0")

    def learns_from(self, method: Method) -> tuple[str, str]:
        """Corpus of a method, and the id of its cached features."""
        return self.own_corpora.get(method.name, (self.dataset, self.feature_id))

    def samples(self, method: Method, seed: int, model_run_id: str | None) -> SamplePlan:
        """The pictures of one cell: the same noise for every method."""
        first = self.first_seed + SEEDS_APART * seed
        return SamplePlan(method, self.images_per_emotion, first, self.generation, self.models, model_run_id, self.emotions)


def prepare_reference(workspace: Workspace, selection: ReferenceSelection, recipe: EvaluationRecipe) -> None:
    """Compute the features of the real images, once for all cells."""
    for part in selection.parts:
        reference_part(workspace, selection, part, recipe, load_extractors(recipe))


def run_cell(
    workspace: Workspace,
    settings: CellSettings,
    method: Method,
    seed: int,
    selection: ReferenceSelection,
    on_progress: Callable[[Progress], None] | None = None,
) -> MethodRun:
    """Train, draw and measure one method with one seed.

    Raises:
        FileNotFoundError: no features are cached, or those of the real images are missing (`prepare_reference`).
        TrainingDivergedError: a loss became NaN or infinite.
    """
    seeded = method.with_seed(seed)
    trained = seeded.train(TrainingData(workspace, *settings.learns_from(method), settings.models), on_progress)
    samples = settings.samples(seeded, seed, None if trained is None else trained.run_id)
    for part in samples.parts():
        generate_part(workspace, samples, part)
    extractors = load_extractors(settings.evaluation)
    evaluation = evaluate_samples(workspace, samples.run_id, method.name, selection, settings.evaluation, extractors, samples.emotions)
    return cell_result(workspace, samples, seed, evaluation, settings.evaluation, extractors)


def cell_result(
    workspace: Workspace,
    samples: SamplePlan,
    seed: int,
    evaluation: MethodEvaluation,
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    *,
    slot: Slot = nullcontext,
) -> MethodRun:
    """The numbers of a measured cell."""
    found = {name: evaluation.metrics.estimate(name) for name in METRIC_NAMES}
    metrics = {
        name: MeasuredMetric(value=estimate.value, low=estimate.low, high=estimate.high, extractor=estimate.extractor)
        for name, estimate in found.items()
        if estimate.value is not None
    }
    recognised = {} if evaluation.metrics.rejected else _recognised(workspace, samples, recipe, extractors, slot)
    return MethodRun(
        method=samples.method.name,
        seed=seed,
        metrics=metrics,
        recognised=recognised,
        training_run=samples.model_run_id,
        samples_run=samples.run_id,
    )


def _recognised(
    workspace: Workspace, samples: SamplePlan, recipe: EvaluationRecipe, extractors: ExtractorSet, slot: Slot
) -> dict[str, str]:
    """By emotion, 1 or 0 for every picture in the order of their seeds, from the cached features."""
    found: dict[str, str] = {}
    for emotion in samples.emotions:
        _, features = sample_part(workspace, samples.run_id, samples.method.name, emotion, recipe, extractors, slot=slot)
        right = features.probabilities[0].argmax(axis=1) == EMOTIONS.index(emotion)
        in_order = ["0"] * len(right)
        numbers = sample_rows(workspace, samples.run_id, samples.method.name, emotion, recipe, rejected=0)
        for number, recognised in zip(numbers, right, strict=True):
            in_order[number] = str(int(recognised))
        found[emotion] = "".join(in_order)
    return found
