"""Parameters of `train-and-eval`: see `params`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.experiments.matrix import DEFAULT, ExperimentMatrix
from coemogen_core.methods.method import Method
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.names import DatasetName
from coemogen_core.training.features import FeatureRecipe
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.recipes import TrainingRecipe
from flows.params import FlowParams


class TrainAndEvalParams(FlowParams):
    """A curated corpus to features, a trained model, pictures, metrics and a report."""

    flow = "train-and-eval"
    dataset: DatasetName = Field(default="emoset", description="corpus to train on")
    version: str = Field(default="current", description="version of its decisions; current = the last one that was built")
    joined_with: tuple[DatasetName, ...] = Field(
        default=(), description="further corpora to train on together with it; every emotion is seen equally often of each that has it"
    )
    reference_dataset: DatasetName | None = Field(
        default=None, description="which of these corpora the pictures are measured against; none = `dataset`"
    )
    emoart_dataset: DatasetName | None = Field(default=None, description="curated art to show in the report; none = leave that section out")
    emoart_truth: str | None = Field(default=None, description="folder of the lab paintings with their true emotions; none = unknown")
    models: BaseModels = Field(description="diffusion model and CLIP to build on")
    resolution: int = Field(default=512, ge=8, le=4096, description="training pictures are scaled and cropped to this many pixels square")
    train_splits: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=("train",), description="splits to train on; null = all pictures"
    )
    training: TrainingRecipe = Field(description="how HiLoRA and the conditioner are trained")
    launch: LaunchSettings = Field(default=LaunchSettings(), description="train in several processes, one a GPU, by `accelerate launch`")
    generation: GenerationRecipe = Field(default=GenerationRecipe(), description="how pictures are denoised")
    images_per_emotion: int = Field(default=1000, ge=2, le=100_000, description="pictures to generate per emotion and method")
    seed: int = Field(default=0, ge=0, lt=2**31, description="of the first generated picture; the same noise for every method")
    evaluation: EvaluationRecipe = Field(default=EvaluationRecipe(), description="how pictures are measured")
    matrix: ExperimentMatrix | None = Field(
        default=None, description="methods and seeds to compare; none = CoEmoGen and plain Stable Diffusion, once"
    )

    @property
    def features(self) -> FeatureRecipe:
        """What is cached of every picture of the corpus."""
        return FeatureRecipe(models=self.models, resolution=self.resolution, splits=self.train_splits)

    @property
    def datasets(self) -> tuple[str, ...]:
        """All corpora that are trained on."""
        return (self.dataset, *self.joined_with)

    @property
    def methods(self) -> list[Method]:
        """What is compared, not yet seeded."""
        return (self.matrix or DEFAULT).resolve(self.training)

    @model_validator(mode="after")
    def _corpora_are_different(self) -> Self:
        if len(set(self.datasets)) < len(self.datasets):
            raise ValueError(f"the corpora to train on name one twice: {', '.join(self.datasets)}; name each once")
        if self.reference_dataset not in (None, *self.datasets):
            raise ValueError(
                f"reference_dataset {self.reference_dataset!r} is none of the corpora that are trained on ({', '.join(self.datasets)}): "
                "name one of them"
            )
        return self

    @model_validator(mode="after")
    def _methods_are_known_and_the_batch_divides(self) -> Self:
        for method in (self.matrix or DEFAULT).resolve(self.training):  # a method or setting that is not known is refused here
            method.check_launch(self.launch)
        return self
