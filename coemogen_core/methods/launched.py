"""One of several processes that train CoEmoGen together: `accelerate launch -m coemogen_core.methods.launched JOB`."""

import sys
from collections.abc import Callable
from typing import Any

from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.method import TrainingData
from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.launch import run_child
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Progress


def train(job: dict[str, Any], on_progress: Callable[[Progress], None]) -> None:
    """Train what a job of `CoEmoGen.train` names."""
    data = TrainingData(Workspace(job["workspace"]), job["dataset"], job["feature_id"], BaseModels.model_validate(job["models"]))
    CoEmoGen(job["method"], TrainingRecipe.model_validate(job["recipe"])).train(data, on_progress)


if __name__ == "__main__":
    run_child(train, sys.argv[1])
