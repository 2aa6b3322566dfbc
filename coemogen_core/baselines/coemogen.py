"""CoEmoGen under the interface of the methods that it is compared with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from coemogen_core.generation.generator import CoEmoGenGenerator, Generator
from coemogen_core.generation.method import Method, TrainingData
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import TrainingOutcome, train, training_run_id
from coemogen_core.training.trainer import Progress


@dataclass(frozen=True)
class CoEmoGen(Method):
    """Conditioner and HiLoRA, trained by a recipe."""

    recipe: TrainingRecipe

    def with_seed(self, seed: int) -> "CoEmoGen":
        """The same recipe with another seed."""
        return replace(self, recipe=self.recipe.model_copy(update={"seed": seed}))

    def training_run_id(self, data: TrainingData) -> str:
        """See `coemogen_core.training.run.training_run_id`."""
        return training_run_id(data.workspace, data.dataset, data.feature_id, data.models, self.recipe)

    def train(self, data: TrainingData, on_progress: Callable[[Progress], None] | None = None) -> TrainingOutcome:
        """See `coemogen_core.training.run.train`."""
        return train(data.workspace, data.dataset, data.feature_id, data.models, self.recipe, on_progress=on_progress)

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """Nothing: the trained model's run says it all."""
        return {}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The trained model on the base models."""
        return CoEmoGenGenerator(models, model_folder, recipe)
