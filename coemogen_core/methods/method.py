"""A method under comparison: what is trained for it, if anything, and what draws its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from coemogen_core.device import Slot
from coemogen_core.methods.generator import Generator
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.run import TrainingOutcome
from coemogen_core.training.trainer import Progress
from schemas.choices import Device

IN_THIS_PROCESS = LaunchSettings()


@dataclass(frozen=True)
class TrainingData:
    """What trained methods learn from: the cached features of a corpus, and the base models."""

    workspace: Workspace
    dataset: str
    feature_id: str
    models: BaseModels


@dataclass(frozen=True)
class Method(ABC):
    """One way to make pictures of an emotion. All methods of a comparison get the same noise, sampler, guidance and steps."""

    name: str  # what it is called in folders and files; lower case, digits and dashes

    @property
    def budget(self) -> int | None:
        """Samples that its training sees, repetitions counted; None for a method without a training."""
        return None

    def check(self, workspace: Workspace, models: BaseModels) -> None:  # noqa: B027 (most have nothing to check)
        """See before anything is computed that it can be trained.

        Raises:
            FileNotFoundError: what it begins with does not exist.
            ValueError: it cannot begin with that.
        """

    def check_launch(self, launch: LaunchSettings) -> None:  # noqa: B027 (most train in one process, whatever is asked for)
        """See before anything is computed that it can be trained in so many processes.

        Raises:
            ValueError: its batch does not divide among them.
        """

    def samples_before(self, workspace: Workspace) -> int:  # noqa: ARG002
        """Samples that the trained model which its training begins with has seen; 0 where it begins with the base models."""
        return 0

    def with_seed(self, seed: int) -> Method:  # noqa: ARG002 (nothing to train, nothing to seed)
        """The same method, trained from another seed. A method without a training stays as it is."""
        return self

    def train(
        self,
        data: TrainingData,  # noqa: ARG002
        on_progress: Callable[[Progress], None] | None = None,  # noqa: ARG002
        launch: LaunchSettings = IN_THIS_PROCESS,  # noqa: ARG002
        *,
        slot: Slot = nullcontext,  # noqa: ARG002
    ) -> TrainingOutcome | None:
        """Train into `runs/<run id>/model/`; goes on where it was interrupted. None when there is nothing to train.

        Args:
            data: what it learns from.
            on_progress: called after every log interval.
            launch: in how many processes; a method that cannot train in several trains in this one.
            slot: entered when there is something to train.

        Raises:
            FileNotFoundError: no features are cached.
            TrainingDivergedError: a loss became NaN or infinite.
            TrainingStoppedError: it was asked to stop (SIGTERM); calling again goes on.
        """
        return None

    def training_devices(self, launch: LaunchSettings = IN_THIS_PROCESS) -> tuple[Device, int]:  # noqa: ARG002
        """What its training computes on, on this machine: the device, and how many of them at once."""
        return "auto", 1

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """JSON-serialisable fields that decide its pictures besides name, base models, denoising and trained model."""
        return {}

    @abstractmethod
    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:
        """Its generator.

        Args:
            models: base models.
            recipe: denoising settings.
            model_folder: URI of the trained model; empty for a method without a training.

        Raises:
            FileNotFoundError: the model is not trained.
        """
