"""A training in a process of its own, to be stopped, killed or joined by another one.

    python -m tests.coemogen_core.training.training_process SETTINGS

SETTINGS is JSON: workspace, features, diffusion, clip, run_id, recipe. Says `step N` after every log interval.
"""

import json
import sys

import torch

from coemogen_core.data.workspace import Workspace
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train


def main(settings: dict) -> None:
    torch.set_num_threads(1)
    models = BaseModels(diffusion=settings["diffusion"], clip=settings["clip"])
    recipe = TrainingRecipe.model_validate(settings["recipe"])
    train(
        Workspace(settings["workspace"]),
        "emoset",
        settings["features"],
        models,
        recipe,
        run_id=settings["run_id"],
        on_progress=lambda progress: print(f"step {progress.step}", flush=True),
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
