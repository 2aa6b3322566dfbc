"""CoEmoGen under the interface of the methods that it is compared with."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from coemogen_core.methods.generator import CoEmoGenGenerator, Generator
from coemogen_core.methods.method import IN_THIS_PROCESS, Method, TrainingData
from coemogen_core.methods.sample_sheets import PipelineSheets
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.training.launch import LaunchSettings, train_in_processes
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import TrainingOutcome, train, training_run_id
from coemogen_core.training.trainer import Progress

CHILD = "coemogen_core.methods.launched"


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

    def train(
        self, data: TrainingData, on_progress: Callable[[Progress], None] | None = None, launch: LaunchSettings = IN_THIS_PROCESS
    ) -> TrainingOutcome:
        """Train, in several processes where that is asked for, or find the trained model; see `coemogen_core.training.run.train`.

        Raises:
            LaunchError: one of several processes failed.
        """
        started, was_there = time.perf_counter(), False
        if launch.is_wanted:
            was_there = data.workspace.exists("runs", self.training_run_id(data), "model", "config.json")
            if not was_there:
                train_in_processes(CHILD, self.job(data), launch, on_progress)
        outcome = train(
            data.workspace, data.dataset, data.feature_id, data.models, self.recipe, sheets=PipelineSheets, on_progress=on_progress
        )
        if not launch.is_wanted:
            return outcome
        return outcome.model_copy(update={"reused": was_there, "seconds": time.perf_counter() - started})

    def job(self, data: TrainingData) -> dict[str, Any]:
        """What one of several processes is told: everything that identifies this training."""
        models, recipe = data.models.model_dump(mode="json"), self.recipe.model_dump(mode="json")
        corpus = {"workspace": data.workspace.uri, "dataset": data.dataset, "feature_id": data.feature_id}
        return {"method": self.name, "models": models, "recipe": recipe, **corpus}

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """Nothing: the trained model's run says it all."""
        return {}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The trained model on the base models."""
        return CoEmoGenGenerator(models, model_folder, recipe)
