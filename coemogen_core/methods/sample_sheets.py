"""Pictures of a model while it is trained: a sheet of the same seeds every so many steps, `<run>/training_samples/step-<number>.png`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel

from coemogen_core.data.thumbnail import draw_sheet
from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.denoising import image_seeds, load_base_pipeline
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import TrainingObjective
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import model_config

SIDE = 128  # pixels of one picture on a sheet


class PipelineSheets:
    """Draws and stores the sheets of one run, with the model as it would be saved then: the moving average, where there is one.

    The U-Net and the text encoder are those in training; only the autoencoder is loaded besides. Every picture's noise and visual embedding
    come from its own seed, by generators of their own: a training with sheets goes exactly the way of one without.
    """

    def __init__(
        self,
        workspace: Workspace,
        run_id: str,
        recipe: TrainingRecipe,
        models: BaseModels,
        features: FeatureSet,
        objective: TrainingObjective,
    ) -> None:
        """Nothing is loaded before the first sheet."""
        self._workspace, self._names = workspace, ("runs", run_id, "training_samples")
        self._recipe, self._models, self._features, self._objective = recipe, models, features, objective
        self._pipeline: EmotionPipeline | None = None

    def is_due(self, step: int) -> bool:
        """Whether there is to be a sheet after so many steps, and none is there yet."""
        every = self._recipe.sample_every
        return bool(every) and step > 0 and step % every == 0 and not self._workspace.exists(*self._names, _file_name(step))

    def draw(self, step: int, average: EMAModel | None, accelerator: Accelerator) -> None:
        """Generate and write the sheet of a step: a row for every emotion of the corpus."""
        pipeline, recipe = self._ready_pipeline(), self._recipe
        emotions: list[str] = [emotion for emotion in EMOTIONS if emotion in pipeline.clusters.means]
        seeds = image_seeds(0, recipe.samples_per_emotion)
        with self._averaged(average), accelerator.autocast():
            pictures = {emotion: pipeline.generate(emotion, seeds, recipe.sampling) for emotion in emotions}
        sheet = draw_sheet({f"after {step:,} steps": pictures}, emotions, columns=len(seeds), side=SIDE)
        self._workspace.write_file(sheet, *self._names, _file_name(step))

    def _ready_pipeline(self) -> EmotionPipeline:
        if self._pipeline is None:
            objective, features, recipe = self._objective, self._features, self._recipe
            clusters = EmotionClusters.fit(features.visual_embeddings(), features.labels, recipe.covariance)
            parts = {"unet": objective.unet, "text_encoder": objective.conditioner.text_encoder.text_model}
            base = load_base_pipeline(self._models, str(objective.unet.device), objective.unet.dtype, **parts)
            config = model_config(recipe, self._models, features, {})
            self._pipeline = EmotionPipeline.around(base, config, clusters, objective.hilora, objective.conditioner)
        return self._pipeline

    @contextmanager
    def _averaged(self, average: EMAModel | None) -> Iterator[None]:
        """The moving average in the place of the weights, which come back bit by bit."""
        if average is None:
            yield
            return
        parameters = list(self._objective.trainable().values())
        average.store(parameters)
        try:
            with torch.no_grad():
                average.copy_to(parameters)
            yield
        finally:
            average.restore(parameters)


def _file_name(step: int) -> str:
    return f"step-{step:09d}.png"
