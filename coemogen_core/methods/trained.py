"""What the trained baselines share: their place in a workspace, and budgets equal to CoEmoGen's."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.method import IN_THIS_PROCESS, Method, TrainingData
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.tensor_files import safetensors_bytes
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet, cached_parts
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.run import TrainingOutcome
from coemogen_core.training.trainer import Progress

FORMAT = 1  # raise when the meaning of a saved tensor changes
OnProgress = Callable[[Progress], None] | None


@dataclass(frozen=True)
class TrainedBaseline(Method):
    """A baseline that is trained on the cached features, into `runs/<id>/model/`; `config.json` is written last and means done."""

    recipe: OptimisationRecipe
    kind: ClassVar[str]  # what it is, in its run id and configuration

    @abstractmethod
    def fit(self, data: TrainingData, run_id: str, features: FeatureSet, on_progress: OnProgress) -> None:
        """Write all files of the model but `config.json`; what an interrupted call has finished is not computed again."""

    def with_seed(self, seed: int) -> Self:
        """The same recipe with another seed."""
        return replace(self, recipe=self.recipe.model_copy(update={"seed": seed}))

    def training_run_id(self, data: TrainingData) -> str:
        """Recipe id over base models, features and recipe.

        Raises:
            FileNotFoundError: no features are cached.
        """
        parts = cached_parts(data.workspace, data.dataset, data.feature_id)
        corpus = {"dataset": data.dataset, "features": data.feature_id, "parts": parts}
        return recipe_id(self.kind, {"format": FORMAT, "models": data.models.identity, "recipe": self.recipe.identity, **corpus})

    def train(
        self,
        data: TrainingData,
        on_progress: OnProgress = None,
        launch: LaunchSettings = IN_THIS_PROCESS,  # noqa: ARG002 (small enough for one process)
    ) -> TrainingOutcome:
        """Train, or find the trained model.

        Raises:
            FileNotFoundError: no features are cached.
            TrainingDivergedError: a loss became NaN or infinite.
            TrainingStoppedError: it was asked to stop (SIGTERM); calling again goes on.
        """
        started = time.perf_counter()
        run_id = self.training_run_id(data)
        features = FeatureSet.open(data.workspace, data.dataset, data.feature_id)
        reused = data.workspace.exists("runs", run_id, "model", "config.json")
        if not reused:
            self.fit(data, run_id, features, on_progress)
            training = {"recipe": self.recipe.identity, "dataset": data.dataset, "features": data.feature_id}
            config = {"format": FORMAT, "kind": self.kind, "base_models": data.models.identity, "training": training}
            data.workspace.write_json(config, "runs", run_id, "model", "config.json")
        seconds = time.perf_counter() - started
        return TrainingOutcome(run_id=run_id, steps=self.recipe.steps, images=len(features), reused=reused, seconds=seconds)

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """Nothing: the trained model's run says it all."""
        return {}


def by_emotion(
    data: TrainingData, run_id: str, features: FeatureSet, recipe: OptimisationRecipe
) -> Iterator[tuple[str, int, OptimisationRecipe]]:
    """The emotions of a corpus that have no trained file yet, with index and recipe: an equal share of all steps for each.

    So a baseline that is trained emotion by emotion sees as many samples in all as a method that is trained once.
    """
    present = [index for index in range(len(EMOTIONS)) if (features.labels == index).any()]
    share = max(1, recipe.steps // len(present))
    own = recipe.model_copy(update={"steps": share, "warmup_steps": recipe.warmup_steps * share // recipe.steps})
    for index in present:
        if not data.workspace.exists("runs", run_id, "model", f"{EMOTIONS[index]}.safetensors"):
            yield EMOTIONS[index], index, own


def save_tensors(workspace: Workspace, run_id: str, name: str, tensors: dict[str, Tensor]) -> None:
    """Write `runs/<run_id>/model/<name>.safetensors` in float32."""
    held = {key: tensor.detach().to("cpu", torch.float32).contiguous() for key, tensor in tensors.items()}
    workspace.write_file(safetensors_bytes(held, {"format": "pt"}), "runs", run_id, "model", f"{name}.safetensors")


def load_tensors(folder: str) -> dict[str, dict[str, Tensor]]:
    """All tensors of a finished model, by file.

    Raises:
        FileNotFoundError: there is no finished model.
        ValueError: it was written by a later version of this package.
    """
    place = Workspace(folder)
    if not place.exists("config.json"):
        raise FileNotFoundError(f"no trained model in {folder} (config.json is missing): train first, or give another folder")
    found = place.read_json("config.json").get("format")
    if found != FORMAT:
        raise ValueError(f"{folder}/config.json has format {found}, this version reads {FORMAT}: update coemogen")
    names = [name for name in place.list_files() if name.endswith(".safetensors")]
    return {name.removesuffix(".safetensors"): load(place.read_file(name)) for name in names}
