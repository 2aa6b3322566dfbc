"""Methods with a training, and what the baselines among them share: their files, and budgets equal to CoEmoGen's."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load
from torch import Tensor

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.method import IN_THIS_PROCESS, Method, TrainingData
from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.storage.tensor_files import safetensors_bytes
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.objective import DTYPES, load_training_unet
from coemogen_core.training.optimisation import OptimisationRecipe
from coemogen_core.training.run import TrainingOutcome, train_once, training_record, training_run_id
from coemogen_core.training.trainer import Progress
from schemas.choices import Device

FORMAT = 1  # raise when the meaning of a saved tensor changes
OnProgress = Callable[[Progress], None] | None
RecipeT = TypeVar("RecipeT", bound=OptimisationRecipe)


@dataclass(frozen=True)
class TrainedMethod(Method, Generic[RecipeT]):
    """A method that is trained on the cached features, into `runs/<id>/model/`. That run says all that identifies its pictures."""

    recipe: RecipeT
    kind: ClassVar[str]  # what it is, in its run id and configuration

    def training_devices(self, launch: LaunchSettings = IN_THIS_PROCESS) -> tuple[Device, int]:  # noqa: ARG002
        """The recipe's device; it trains in one process."""
        return self.recipe.device, 1

    @property
    def budget(self) -> int:
        """Steps times batch size."""
        return self.recipe.steps * self.recipe.batch_size

    def with_seed(self, seed: int) -> Self:
        """The same recipe with another seed."""
        return replace(self, recipe=self.recipe.model_copy(update={"seed": seed}))

    def training_run_id(self, data: TrainingData) -> str:
        """See `coemogen_core.training.run.training_run_id`."""
        return training_run_id(data.workspace, data.dataset, data.feature_id, data.models, self.recipe, self.kind)


class TrainedBaseline(TrainedMethod[RecipeT]):
    """A baseline; its trainings are small enough for one process."""

    @abstractmethod
    def fit(self, data: TrainingData, run_id: str, features: FeatureSet, on_progress: OnProgress) -> None:
        """Write all files of the model but `config.json`; what an interrupted call has finished is not computed again."""

    def train(
        self,
        data: TrainingData,
        on_progress: OnProgress = None,
        launch: LaunchSettings = IN_THIS_PROCESS,  # noqa: ARG002
        *,
        slot: Slot = nullcontext,
    ) -> TrainingOutcome:
        """Train, or find the trained model."""
        run_id = self.training_run_id(data)

        def fit(features: FeatureSet) -> None:
            self.fit(data, run_id, features, on_progress)
            training = training_record(self.recipe, features, {"dataset": data.dataset, "features": data.feature_id})
            config = {"format": FORMAT, "kind": self.kind, "base_models": data.models.identity, "training": training}
            data.workspace.write_json(config, "runs", run_id, "model", "config.json")

        return train_once(data.workspace, data.dataset, data.feature_id, run_id, self.recipe.steps, fit, slot=slot)


class FrozenParts(NamedTuple):
    """What a baseline trains around, in the recipe's precision."""

    unet: UNet2DConditionModel
    text_encoder: FrozenTextEncoder
    scheduler: DDPMScheduler


def load_frozen(models: BaseModels, recipe: OptimisationRecipe, *, with_projection: bool = False) -> FrozenParts:
    """The base models; the text encoder's projection only where a semantic loss wants it."""
    text_encoder = load_text_encoder(models, with_projection=with_projection)
    text_encoder.to(DTYPES[recipe.precision])
    return FrozenParts(load_training_unet(models, recipe), text_encoder, load_noise_scheduler(models))


def by_emotion(data: TrainingData, run_id: str, features: FeatureSet, recipe: RecipeT) -> Iterator[tuple[str, int, RecipeT]]:
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
