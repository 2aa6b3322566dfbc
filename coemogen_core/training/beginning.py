"""How a training begins with the weights of a finished one (fine-tuning), and what came before it."""

from collections.abc import Iterator
from typing import Any

from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.objective import TrainingObjective
from coemogen_core.training.recipes import TrainingRecipe


def model_shape(recipe: TrainingRecipe, models: BaseModels) -> dict[str, Any]:
    """Fields of `SavedModelConfig` that say what a model's weights mean, but for the width of the embeddings."""
    return {
        "base_models": models.identity,
        "conditioner": recipe.conditioner,
        "rank": recipe.rank,
        "alpha": float(recipe.rank if recipe.alpha is None else recipe.alpha),
        "targets": recipe.targets,
        "use_emotion_pairs": recipe.use_emotion_pairs,
        "use_polarity_pairs": recipe.use_polarity_pairs,
    }


def check_beginning(workspace: Workspace, models: BaseModels, recipe: TrainingRecipe, visual_width: int | None = None) -> None:
    """Refuse a start from weights that mean something else here: another shape, scale, choice of pairs, or base model.

    Args:
        workspace: holds the run that `recipe.from_run` names; none = there is nothing to check.
        models: base models of the training.
        recipe: of the training.
        visual_width: width of its CLIP image embeddings, where that is known already.

    Raises:
        FileNotFoundError: the run is no finished training.
        ValueError: it is a baseline's, or differs; the message names the first field.
    """
    if recipe.from_run is None:
        return
    name, begun = recipe.from_run, SavedModelConfig.load(workspace.path("runs", recipe.from_run, "model"))
    own = model_shape(recipe, models) | ({} if visual_width is None else {"visual_width": visual_width})
    for field, here in own.items():
        there = getattr(begun, field)
        if here != there:
            raise ValueError(f"training.from_run {name} has another {field}: {there} there, {here} here. Give it as that training had it")


def start_from(objective: TrainingObjective, model: SavedModel) -> None:
    """Give conditioner and HiLoRA the weights of a trained model, which `check_beginning` has found fit."""
    for module, tensors in ((objective.conditioner, model.conditioner), (objective.hilora, model.hilora)):
        module.load_state_dict(tensors)


def trainings_behind(workspace: Workspace, run_id: str | None) -> Iterator[dict[str, Any]]:
    """What the model of a training says of it (`SavedModelConfig.training`), then the same of the one that it began with, and so on."""
    while run_id is not None:
        place = ("runs", run_id, "model", "config.json")
        training = workspace.read_json(*place).get("training", {}) if workspace.exists(*place) else {}
        if {"dataset", "features"} <= training.keys():
            yield training
        run_id = training.get("recipe", {}).get("from_run")


def samples_before(workspace: Workspace, recipe: TrainingRecipe) -> int:
    """Training samples that the weights saw, repetitions counted, before a training with this recipe."""
    return sum(training["recipe"]["steps"] * training["recipe"]["batch_size"] for training in trainings_behind(workspace, recipe.from_run))
