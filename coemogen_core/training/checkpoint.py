"""Checkpoints: all state of a training in one safetensors file that appears whole or not at all.

Sample order, noise and learning rate are functions of the step, so the state is: weights, optimizer moments, moving average, loss scale,
and the sums of the log's open interval.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors.torch import load, save
from torch import Tensor, nn

from coemogen_core.storage.location import open_file
from coemogen_core.storage.tensor_files import read_header
from coemogen_core.storage.whole_file import remove_leftovers
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.optimizer import PairwiseAdamW

SCORE = "smoothed_loss"  # fact by which the best checkpoints are kept; lower is better


@dataclass(frozen=True)
class Checkpoint:
    """State after `step` finished steps."""

    step: int
    tensors: dict[str, Tensor]  # "weights.<name>", "optimizer.<group>.<moment>", "average.<name>", "log.sums"
    facts: dict[str, Any]  # JSON values beside the tensors, e.g. the loss scale

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return save(tensors, metadata={"coemogen": json.dumps({"step": self.step, "facts": self.facts}, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote."""
        metadata = _metadata(read_header(io.BytesIO(data)))
        return cls(metadata["step"], load(data), metadata["facts"])


class CheckpointFolder:
    """The checkpoints of one run, `<run>/checkpoints/step-<number>.safetensors`.

    Kept are the newest, from which a training goes on, and the best: those of lowest smoothed loss L = L_LDM + w L_SEM
    (`LossLog.smoothed_loss`), to return to when a training has gone astray without anybody noticing.
    """

    def __init__(self, workspace: Workspace, run_id: str, keep: int, keep_best: int = 0) -> None:
        self._workspace = workspace
        self._names = ("runs", run_id, "checkpoints")
        self._keep, self._keep_best = keep, keep_best

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove those that are neither among the newest nor among the best."""
        self._workspace.write_file(checkpoint.to_bytes(), *self._names, _file_name(checkpoint.step))
        steps = self.steps()
        for step in sorted(set(steps) - set(steps[-self._keep :]) - set(self._best(steps))):
            self._workspace.remove_file(*self._names, _file_name(step))

    def _best(self, steps: list[int]) -> list[int]:
        """The steps of lowest smoothed loss among these; of equals the earlier."""
        if not self._keep_best:
            return []
        scores = {step: self._score(step) for step in steps}
        scored = sorted((score, step) for step, score in scores.items() if score is not None)
        return [step for _, step in scored[: self._keep_best]]

    def _score(self, step: int) -> float | None:
        """The smoothed loss of a checkpoint, from its file's header alone."""
        with open_file(self._workspace.path(*self._names, _file_name(step))) as file:
            return _metadata(read_header(file))["facts"].get(SCORE)

    def newest(self) -> Checkpoint | None:
        """The checkpoint of the highest step, None when there is none; what a killed training left half-written is removed."""
        remove_leftovers(self._workspace.path(*self._names))
        steps = self.steps()
        return Checkpoint.from_bytes(self._workspace.read_file(*self._names, _file_name(steps[-1]))) if steps else None

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        names = self._workspace.list_files(*self._names)
        return sorted(int(name.removeprefix("step-").removesuffix(".safetensors")) for name in names if name.startswith("step-"))


def _metadata(header: dict[str, Any]) -> dict[str, Any]:
    return json.loads(header["__metadata__"]["coemogen"])


def _file_name(step: int) -> str:
    return f"step-{step:09d}.safetensors"


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
