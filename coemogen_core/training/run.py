"""One training run in a workspace: its identity, its result, and nothing to do when it is there already."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from pydantic import Field

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.beginning import check_beginning, model_shape, start_from
from coemogen_core.training.feature_set import FeatureSet, rows_of_set
from coemogen_core.training.objective import TrainingObjective, build_objective
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Progress, SampleSheets, Trainer
from schemas.frozen_model import FrozenModel

NewSheets = Callable[[Workspace, str, TrainingRecipe, BaseModels, FeatureSet, TrainingObjective], SampleSheets]


def model_config(recipe: TrainingRecipe, models: BaseModels, features: FeatureSet, data: dict[str, str]) -> SavedModelConfig:
    """What is needed to put the trained model on its base models again; `data` says what it was trained on."""
    shape, training = model_shape(recipe, models), training_record(recipe, features, data)
    return SavedModelConfig(visual_width=features.visual_width, training=training, **shape)


def training_record(recipe: OptimisationRecipe, features: FeatureSet, data: dict[str, str]) -> dict[str, Any]:
    """What a model's `config.json` says of its training; `data` says what it was trained on."""
    counts = Counter(features.labels.tolist())
    images = {emotion: counts[index] for index, emotion in enumerate(EMOTIONS)}
    return {"recipe": recipe.identity, **data, "images_per_emotion": images}


def is_trained(workspace: Workspace, run_id: str) -> bool:
    """Whether the model of a run is finished."""
    return workspace.exists("runs", run_id, "model", "config.json")


class TrainingOutcome(FrozenModel):
    """What became of a training."""

    run_id: str = Field(description="folder below runs/")
    steps: int = Field(ge=0, description="optimizer steps that the model has seen")
    images: int = Field(ge=0, description="pictures in the training set; 0 of a baseline whose record does not count them")
    reused: bool = Field(description="the trained model was there already and nothing was computed")
    seconds: float = Field(ge=0, description="wall-clock time of this call")
    diffusion_loss: float | None = Field(default=None, description="mean L_LDM of the last log interval; null when reused")
    semantic_loss: float | None = Field(default=None, description="mean L_SEM of the last log interval; null when reused")


def training_run_id(
    workspace: Workspace, dataset: str, feature_id: str, models: BaseModels, recipe: OptimisationRecipe, kind: str = "train"
) -> str:
    """Recipe id of a training: base models, the rows of the feature set (pictures, labels, captions and what made them), and the recipe.

    The dataset's name, its version and the parts that the rows lie in change no training, and are no part of it.

    Raises:
        FileNotFoundError: no features are cached under this id.
    """
    rows, _ = rows_of_set(workspace, dataset, feature_id)
    return recipe_id(kind, {"models": models.identity, "rows": rows, "recipe": recipe.identity})


def train_once(
    workspace: Workspace,
    dataset: str,
    feature_id: str,
    run_id: str,
    steps: int,
    fit: Callable[[FeatureSet], Progress | None],
    *,
    slot: Slot = nullcontext,
) -> TrainingOutcome:
    """Fit a model that is not there yet. `fit` writes its `config.json` last, which means done, and returns the last interval's losses.

    Nothing is fetched for a model that is there: how many pictures it has seen stands in its `config.json` (`training_record`).

    Raises:
        FileNotFoundError: no features are cached under this id.
    """
    started, last = time.perf_counter(), None
    reused = is_trained(workspace, run_id)
    if not reused:
        features = FeatureSet.open(workspace, dataset, feature_id)
        with slot():
            reused = is_trained(workspace, run_id)  # by another run, while this one waited
            last = None if reused else fit(features)
    return TrainingOutcome(
        run_id=run_id,
        steps=steps,
        images=_images_of(workspace, run_id),
        reused=reused,
        seconds=time.perf_counter() - started,
        diffusion_loss=None if last is None else last.diffusion_loss,
        semantic_loss=None if last is None else last.semantic_loss,
    )


def _images_of(workspace: Workspace, run_id: str) -> int:
    training = workspace.read_json("runs", run_id, "model", "config.json").get("training", {})
    return sum(training.get("images_per_emotion", {}).values())


def train(
    workspace: Workspace,
    dataset: str,
    feature_id: str,
    models: BaseModels,
    recipe: TrainingRecipe,
    *,
    run_id: str | None = None,
    sheets: NewSheets | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    slot: Slot = nullcontext,
) -> TrainingOutcome:
    """Train on cached features into `runs/<run_id>/model/`; resumes after an interruption, returns at once when the model exists.

    Args:
        workspace: holds the features and takes the run.
        dataset: e.g. emoset.
        feature_id: of the cached features (`FeatureRecipe.feature_id`).
        models: the base models.
        recipe: e.g. `RECIPES["lab"]`.
        run_id: folder below runs/; None takes `training_run_id`. An id of your own must change with everything that is hashed there.
        sheets: makes what draws sample pictures on the way; None draws none.
        on_progress: called after every log interval.
        slot: entered when there is something to train.

    Raises:
        FileNotFoundError: no features are cached under this id, or `recipe.from_run` is no finished training.
        ValueError: `recipe.from_run` is a baseline, or has another shape, scale or base model.
        TrainingDivergedError: a loss or weight became NaN or infinite, or the loss exploded.
        TrainingStoppedError: it was asked to stop (SIGTERM); calling again goes on.
    """
    run = run_id or training_run_id(workspace, dataset, feature_id, models, recipe)

    def fit(features: FeatureSet) -> Progress | None:
        objective = build_objective(models, features.visual_width, recipe)
        if recipe.from_run is not None:
            check_beginning(workspace, models, recipe, features.visual_width)
            start_from(objective, SavedModel.load(workspace.path("runs", recipe.from_run, "model")))
        drawn = None if sheets is None else sheets(workspace, run, recipe, models, features, objective)
        trainer = Trainer(workspace, run, features, objective, sheets=drawn)
        last = trainer.train(on_progress)
        if trainer.is_main:
            config = model_config(recipe, models, features, {"dataset": dataset, "features": feature_id})
            clusters = EmotionClusters.fit(features.visual_embeddings(), features.labels, recipe.covariance)
            model = SavedModel(config, objective.conditioner.state_dict(), objective.hilora.state_dict(), clusters)
            model.save(workspace.path("runs", run, "model"))
        trainer.wait_for_all()
        return last

    return train_once(workspace, dataset, feature_id, run, recipe.steps, fit, slot=slot)
