"""An ablation study in a workspace: every variant is trained, drawn and measured once with every seed, and its result stored."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.recipe import NUMBERS_VERSION, EvaluationRecipe, load_extractors
from coemogen_core.evaluation.run_files import evaluate_samples
from coemogen_core.evaluation.workspace_pictures import ReferenceSelection, reference_part, select_reference
from coemogen_core.experiments.ablation_variants import VARIANTS, variant_recipe
from coemogen_core.experiments.run_cell import SEEDS_APART
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.registry import OURS
from coemogen_core.methods.sample_part import generate_part
from coemogen_core.methods.sample_plan import SamplePlan
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train, training_run_id
from schemas.ablations import AblationRun, Ablations, VariantName
from schemas.metrics import METRIC_NAMES


class AblationPlan(BaseModel):
    """What all runs of a study have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(min_length=1, description="training corpus, e.g. emoset")
    feature_id: str = Field(min_length=1, description="its cached features")
    source: str = Field(min_length=1, description="real images to measure against")
    models: BaseModels = Field(description="base models")
    training: TrainingRecipe = Field(description="of the full method; variants and seeds are put over it")
    generation: GenerationRecipe = Field(description="how pictures are drawn")
    evaluation: EvaluationRecipe = Field(description="how they are measured")
    images_per_emotion: int = Field(ge=2, description="pictures of every run, per emotion")


def prepare(workspace: Workspace, plan: AblationPlan) -> None:
    """Compute what all runs share, the features of the real images, so that runs side by side do not each do it."""
    selection, extractors = _judgement(workspace, plan)
    for part in selection.parts:
        reference_part(workspace, selection, part, plan.evaluation, extractors)


def run_variant(workspace: Workspace, plan: AblationPlan, variant: VariantName, seed: int) -> AblationRun:
    """Train, draw and measure one variant with one seed, and store the result; returns what is stored where it was done before.

    Raises:
        FileNotFoundError: no features are cached, or those of the real images are missing (`prepare`).
        TrainingDivergedError: a loss became NaN or infinite.
    """
    found = read_run(workspace, plan, variant, seed)
    if found is not None:
        return found
    recipe = variant_recipe(plan.training, variant, seed)
    model = train(workspace, plan.dataset, plan.feature_id, plan.models, recipe).run_id
    count, first = plan.images_per_emotion, SEEDS_APART * seed
    samples = SamplePlan(CoEmoGen(OURS, recipe), count, first, plan.generation, plan.models, model)
    for part in samples.parts():
        generate_part(workspace, samples, part)
    selection, extractors = _judgement(workspace, plan)
    measured = evaluate_samples(workspace, samples.run_id, OURS, selection, plan.evaluation, extractors).metrics
    values = {name: measured.estimate(name).value for name in METRIC_NAMES}
    metrics = {name: value for name, value in values.items() if value is not None}
    run = AblationRun(variant=variant, seed=seed, metrics=metrics, training_run=model, samples_run=samples.run_id)
    workspace.write_json(run.model_dump(mode="json"), *_place(workspace, plan, variant, seed))
    return run


def read_run(workspace: Workspace, plan: AblationPlan, variant: VariantName, seed: int) -> AblationRun | None:
    """The stored result of one run, None when it is not done."""
    place = _place(workspace, plan, variant, seed)
    return AblationRun.model_validate(workspace.read_json(*place)) if workspace.exists(*place) else None


def collect_runs(workspace: Workspace, plan: AblationPlan, seeds: Iterable[int]) -> Ablations:
    """The finished runs of these seeds as one study."""
    found = [read_run(workspace, plan, variant, seed) for seed in seeds for variant in VARIANTS]
    runs = tuple(run for run in found if run is not None)
    return Ablations(dataset=plan.dataset, steps=plan.training.steps, images_per_emotion=plan.images_per_emotion, runs=runs)


def _judgement(workspace: Workspace, plan: AblationPlan) -> tuple[ReferenceSelection, ExtractorSet]:
    return select_reference(workspace, plan.source, plan.evaluation.minimum_reference), load_extractors(plan.evaluation)


def _place(workspace: Workspace, plan: AblationPlan, variant: VariantName, seed: int) -> tuple[str, str]:
    """Where a run's result lies: keyed by the training, its pictures, and everything that turns these into numbers."""
    selection, extractors = _judgement(workspace, plan)
    recipe = variant_recipe(plan.training, variant, seed)
    model = training_run_id(workspace, plan.dataset, plan.feature_id, plan.models, recipe)
    count, first = plan.images_per_emotion, SEEDS_APART * seed
    samples = SamplePlan(CoEmoGen(OURS, recipe), count, first, plan.generation, plan.models, model)
    evaluation = {"version": NUMBERS_VERSION, "features": plan.evaluation.features_id(extractors), "reference": selection}
    fields = {
        "variant": variant,
        "samples": samples.run_id,
        "evaluation": evaluation,
    }
    return "ablations", f"{recipe_id('ablation', fields)}.json"
