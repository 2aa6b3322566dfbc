"""A training in a process of its own, to be stopped or killed. It says `step N` after every log interval.

Where it is told to, it waits then for a line on its input, so that it cannot come to its end before a test has ended it.
"""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import torch

from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train
from coemogen_core.training.trainer import Progress

ROOT = Path(__file__).parents[3]


def start_training(
    workspace: Workspace,
    features: str,
    models: BaseModels,
    recipe: TrainingRecipe,
    run_id: str,
    *,
    flow: bool = False,
    waits: bool = False,
    **environment: str,
) -> subprocess.Popen[str]:
    """Start it, as a stage of a Prefect flow if wanted; its input, output and errors are pipes."""
    names = {"workspace": workspace.uri, "features": features, "run_id": run_id, "flow": flow, "waits": waits}
    settings = names | {"models": models.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json")}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, str(Path(__file__)), json.dumps(settings)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def main(settings: dict) -> None:
    torch.set_num_threads(1)
    models, recipe = BaseModels.model_validate(settings["models"]), TrainingRecipe.model_validate(settings["recipe"])
    if settings["flow"]:
        train_in_flow(settings, models, recipe)
        return
    names = (Workspace(settings["workspace"]), "emoset", settings["features"])

    def on_progress(progress: Progress) -> None:
        print(f"step {progress.step}", flush=True)
        if settings["waits"]:
            sys.stdin.readline()

    train(*names, models, recipe, run_id=settings["run_id"], on_progress=on_progress)


def train_in_flow(settings: dict, models: BaseModels, recipe: TrainingRecipe) -> None:
    """As `train-and-eval` does: the flow in the main thread, the training on its worker thread."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    from coemogen_core.methods.coemogen import CoEmoGen
    from flows.stages import on_worker
    from tasks.train import train_task

    class InThisRun(CoEmoGen):
        """CoEmoGen, trained into the run that the test looks at."""

        def train(self, data, on_progress=None, launch=None, *, slot=nullcontext):
            return train(
                data.workspace,
                data.dataset,
                data.feature_id,
                data.models,
                self.recipe,
                run_id=settings["run_id"],
                on_progress=on_progress,
                slot=slot,
            )

    @flow(name="train-alone", task_runner=ThreadPoolTaskRunner(max_workers=1))
    def train_alone() -> None:
        on_worker(train_task, settings["workspace"], "emoset", settings["features"], models, InThisRun("coemogen", recipe))

    train_alone()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
