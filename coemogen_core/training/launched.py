"""One of several processes that train together: `accelerate launch -m coemogen_core.training.launched JOB` (see `launch`)."""

import json
import sys
from dataclasses import asdict
from typing import Any

from coemogen_core.data.workspace import Workspace
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.launch import FAILURE, PROGRESS
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.run import train
from coemogen_core.training.trainer import Progress


def main(job: str) -> None:
    """Train what the JSON names; the first process prints a line for every log interval."""
    values = json.loads(job)
    try:
        _train(values)
    except Exception as error:
        print(f"{FAILURE}{type(error).__name__}: {error}", flush=True)
        raise


def _train(values: dict[str, Any]) -> None:
    train(
        Workspace(values["workspace"]),
        values["dataset"],
        values["feature_id"],
        BaseModels.model_validate(values["models"]),
        TrainingRecipe.model_validate(values["recipe"]),
        on_progress=_say,
    )


def _say(progress: Progress) -> None:
    print(PROGRESS + json.dumps(asdict(progress)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
