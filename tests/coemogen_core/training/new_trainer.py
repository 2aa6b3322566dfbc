"""CoEmoGen's trainer as `train` makes it, to be looked into."""

from typing import Any

from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.objective import build_objective
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Trainer


def new_trainer(
    workspace: Workspace, run_id: str, models: BaseModels, features: FeatureSet, recipe: TrainingRecipe, **more: Any
) -> Trainer:
    return Trainer(workspace, run_id, features, build_objective(models, features.visual_width, recipe), **more)
