"""Checkpoints: all state of a training in one safetensors file that appears whole or not at all.

Sample order, noise and learning rate are functions of the step, so the state is: weights, optimizer moments, moving average, loss scale,
and the sums of the log's open interval.
"""

import json
from dataclasses import dataclass
from typing import Any

import fsspec
from safetensors.torch import load, save
from torch import Tensor

from coemogen_core.data.workspace import Workspace
from coemogen_core.training.divergence import check_tensors

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
        length = int.from_bytes(data[:8], "little")
        metadata = _metadata(data[8 : 8 + length])
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
        """Write a checkpoint, then remove those that are neither among the newest nor among the best.

        Raises:
            TrainingDivergedError: a tensor holds NaN or infinity; nothing was written or removed.
        """
        check_tensors(checkpoint.tensors, checkpoint.step)
        self._workspace.write_file(checkpoint.to_bytes(), *self._names, _file_name(checkpoint.step))
        steps = self.steps()
        for step in sorted(set(steps) - set(steps[-self._keep :]) - set(self._best(steps))):
            self._remove(_file_name(step))

    def _best(self, steps: list[int]) -> list[int]:
        """The steps of lowest smoothed loss among these; of equals the earlier."""
        if not self._keep_best:
            return []
        scores = {step: self._score(step) for step in steps}
        scored = sorted((score, step) for step, score in scores.items() if score is not None)
        return [step for _, step in scored[: self._keep_best]]

    def _score(self, step: int) -> float | None:
        """The smoothed loss of a checkpoint, from its file's header alone."""
        with fsspec.open(self._workspace.path(*self._names, _file_name(step)), "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return _metadata(file.read(length))["facts"].get(SCORE)

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


def _metadata(header: bytes) -> dict[str, Any]:
    return json.loads(json.loads(header)["__metadata__"]["coemogen"])


def _file_name(step: int) -> str:
    return f"step-{step:09d}.safetensors"
