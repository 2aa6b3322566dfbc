"""CoEmoGen under the interface of the methods that it is compared with.

Also one of several processes that train it together: `accelerate launch -m coemogen_core.methods.coemogen JOB`.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

from PIL import Image

from coemogen_core.device import Slot
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.methods.generator import Generator
from coemogen_core.methods.method import IN_THIS_PROCESS, TrainingData
from coemogen_core.methods.sample_sheets import PipelineSheets
from coemogen_core.methods.trained import TrainedMethod
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.beginning import check_beginning, samples_before
from coemogen_core.training.launch import LaunchSettings, run_child, train_in_processes
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import TrainingOutcome, is_trained, train
from coemogen_core.training.trainer import Progress
from schemas.choices import Device

CHILD = "coemogen_core.methods.coemogen"


class CoEmoGen(TrainedMethod[TrainingRecipe]):
    """Conditioner and HiLoRA, trained by a recipe."""

    kind: ClassVar[str] = "train"

    def check(self, workspace: Workspace, models: BaseModels) -> None:
        """The model that it begins with has its shape, and its base models."""
        check_beginning(workspace, models, self.recipe)

    def check_launch(self, launch: LaunchSettings) -> None:
        """Every process computes equally many whole pieces of a step."""
        pieces = launch.processes * self.recipe.accumulate
        if self.recipe.batch_size % pieces:
            raise ValueError(
                f"method {self.name}: training.batch_size {self.recipe.batch_size} does not divide by "
                f"launch.processes x training.accumulate = {pieces}"
            )

    def samples_before(self, workspace: Workspace) -> int:
        """What the model that it begins with has seen."""
        return samples_before(workspace, self.recipe)

    def training_devices(self, launch: LaunchSettings = IN_THIS_PROCESS) -> tuple[Device, int]:
        """One device for every process."""
        return self.recipe.device, launch.processes_here

    def train(
        self,
        data: TrainingData,
        on_progress: Callable[[Progress], None] | None = None,
        launch: LaunchSettings = IN_THIS_PROCESS,
        *,
        slot: Slot = nullcontext,
    ) -> TrainingOutcome:
        """Train, in several processes where that is asked for, or find the trained model; see `coemogen_core.training.run.train`.

        Raises:
            LaunchError: one of several processes failed.
        """
        started = time.perf_counter()
        was_there = launch.is_wanted and not self._launched(data, on_progress, launch, slot)
        corpus = data.workspace, data.dataset, data.feature_id, data.models
        outcome = train(*corpus, self.recipe, sheets=PipelineSheets, on_progress=on_progress, slot=slot)
        if not launch.is_wanted:
            return outcome
        return outcome.model_copy(update={"reused": was_there, "seconds": time.perf_counter() - started})

    def _launched(self, data: TrainingData, on_progress: Callable[[Progress], None] | None, launch: LaunchSettings, slot: Slot) -> bool:
        """Train in processes of their own; False where the trained model was there already."""
        run_id = self.training_run_id(data)
        if is_trained(data.workspace, run_id):
            return False
        with slot():
            if is_trained(data.workspace, run_id):  # by another run, while this one waited
                return False
            train_in_processes(CHILD, self.job(data), launch, on_progress)
        return True

    def job(self, data: TrainingData) -> dict[str, Any]:
        """What one of several processes is told: everything that identifies this training."""
        models, recipe = data.models.model_dump(mode="json"), self.recipe.model_dump(mode="json")
        corpus = {"workspace": data.workspace.uri, "dataset": data.dataset, "feature_id": data.feature_id}
        return {"method": self.name, "models": models, "recipe": recipe, **corpus}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """The trained model on the base models."""
        return CoEmoGenGenerator(EmotionPipeline.from_run(models, model_folder, recipe.device), recipe)


class CoEmoGenGenerator(Generator):
    """A trained model: conditioner and HiLoRA on the base models."""

    def __init__(self, pipeline: EmotionPipeline, recipe: GenerationRecipe) -> None:
        self._pipeline, self._recipe = pipeline, recipe
        self._lock = threading.Lock()

    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One picture per seed, its visual embedding drawn from the emotion's cluster."""
        with self._lock:  # gates are state of the U-Net
            return self._pipeline.generate(emotion, seeds, self._recipe)


def train_job(job: dict[str, Any], on_progress: Callable[[Progress], None]) -> None:
    """Train what a job of `CoEmoGen.train` names, as one of several processes."""
    data = TrainingData(Workspace(job["workspace"]), job["dataset"], job["feature_id"], BaseModels.model_validate(job["models"]))
    CoEmoGen(job["method"], TrainingRecipe.model_validate(job["recipe"])).train(data, on_progress)


if __name__ == "__main__":
    run_child(train_job, sys.argv[1])
