"""Checkpoints: all state of a training in one safetensors file that appears whole or not at all.

Sample order, noise and learning rate are functions of the step, so the state is: weights, optimizer moments, moving average, loss scale.
"""

import json
from dataclasses import dataclass
from typing import Any

import fsspec
from safetensors.torch import load, save
from torch import Tensor

from coemogen_core.data.workspace import Workspace


@dataclass(frozen=True)
class Checkpoint:
    """State after `step` finished steps."""

    step: int
    tensors: dict[str, Tensor]  # "weights.<name>", "optimizer.<group>.<moment>", "average.<name>"
    facts: dict[str, Any]  # JSON values beside the tensors, e.g. the loss scale

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return save(tensors, metadata={"coemogen": json.dumps({"step": self.step, "facts": self.facts}, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote."""
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["coemogen"])
        return cls(metadata["step"], load(data), metadata["facts"])


class CheckpointFolder:
    """The checkpoints of one run, `<run>/checkpoints/step-<number>.safetensors`."""

    def __init__(self, workspace: Workspace, run_id: str, keep: int) -> None:
        self._workspace = workspace
        self._names = ("runs", run_id, "checkpoints")
        self._keep = keep

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the oldest beyond those to keep."""
        self._workspace.write_file(checkpoint.to_bytes(), *self._names, _file_name(checkpoint.step))
        for step in self.steps()[: -self._keep]:
            self._remove(_file_name(step))

    def newest(self) -> Checkpoint | None:
        """The checkpoint of the highest step, None when there is none."""
        steps = self.steps()
        return Checkpoint.from_bytes(self._workspace.read_file(*self._names, _file_name(steps[-1]))) if steps else None

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        filesystem, folder = fsspec.core.url_to_fs(self._workspace.path(*self._names))
        filesystem.invalidate_cache(folder)
        names = [path.rsplit("/", 1)[-1] for path in filesystem.glob(f"{folder}/step-*.safetensors")]
        return sorted(int(name.removeprefix("step-").removesuffix(".safetensors")) for name in names)

    def _remove(self, name: str) -> None:
        filesystem, path = fsspec.core.url_to_fs(self._workspace.path(*self._names, name))
        filesystem.rm_file(path)


def _file_name(step: int) -> str:
    return f"step-{step:09d}.safetensors"
