"""Everything that a training carries from step to step, to a checkpoint and back."""

from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from coemogen_core.training.checkpoint import Checkpoint
from coemogen_core.training.pairwise_adamw import PairwiseAdamW


class TrainingState:
    """Trained parameters, optimizer moments, moving average (if any) and loss scale (in float16)."""

    def __init__(
        self, parameters: dict[str, nn.Parameter], optimizer: PairwiseAdamW, average: EMAModel | None, accelerator: Accelerator
    ) -> None:
        self._parameters = parameters
        self._optimizer = optimizer
        self._average = average
        self._accelerator = accelerator

    def checkpoint(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Checkpoint:
        """The state after `step` finished steps, with what else is to be kept."""
        tensors = tensors | {f"weights.{name}": parameter for name, parameter in self._parameters.items()}
        for index, group in enumerate(self._optimizer.param_groups):
            for moment, tensor in self._optimizer.state[group["params"][0]].items():
                tensors[f"optimizer.{index}.{moment}"] = tensor
        if self._average is not None:
            shadows = zip(self._parameters, self._average.shadow_params, strict=True)
            tensors |= {f"average.{name}": shadow for name, shadow in shadows}
            facts = facts | {"average_steps": self._average.optimization_step}
        if self._accelerator.scaler is not None:
            facts = facts | {"loss_scale": self._accelerator.scaler.state_dict()}
        return Checkpoint(step, tensors, facts)

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint's state in the place of the present one."""
        for name, parameter in self._parameters.items():
            parameter.copy_(checkpoint.tensors[f"weights.{name}"])
        for index, group in enumerate(self._optimizer.param_groups):
            prefix = f"optimizer.{index}."
            moments = {name.removeprefix(prefix): tensor for name, tensor in checkpoint.tensors.items() if name.startswith(prefix)}
            self._optimizer.state[group["params"][0]] = {name: tensor.to(self._accelerator.device) for name, tensor in moments.items()}
        if self._average is not None:
            for name, shadow in zip(self._parameters, self._average.shadow_params, strict=True):
                shadow.copy_(checkpoint.tensors[f"average.{name}"])
            self._average.optimization_step = checkpoint.facts["average_steps"]
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(checkpoint.facts["loss_scale"])
