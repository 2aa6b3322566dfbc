"""The log of a training: one JSON line per interval, with both losses."""

import json
import math
import time
from typing import Any

import torch
from torch import Tensor

from coemogen_core.data.workspace import Workspace


class TrainingDivergedError(RuntimeError):
    """A loss became NaN or infinite."""


class LossLog:
    """Means of both losses over intervals of steps, written to `<run>/log.jsonl`.

    Losses are added up where they are computed and read once per interval, so that a GPU is not waited for at every step.
    """

    def __init__(self, workspace: Workspace, run_id: str, start: int) -> None:
        self._workspace = workspace
        self._place = ("runs", run_id, "log.jsonl")
        self.lines = [line for line in self._read() if line["step"] <= start]
        self._interval_start = start
        self._sums: Tensor | None = None
        self._clock = time.perf_counter()

    def add(self, losses: Tensor) -> None:
        """Add one step's mean losses, [2]: diffusion, semantic."""
        self._sums = losses.detach() if self._sums is None else self._sums + losses.detach()

    def close_interval(self, step: int, learning_rate: float) -> dict[str, Any]:
        """End the interval after `step` finished steps; returns its line.

        Raises:
            TrainingDivergedError: a loss of the interval was NaN or infinite.
        """
        assert self._sums is not None
        steps = step - self._interval_start
        diffusion, semantic = (self._sums / steps).tolist()
        if not (math.isfinite(diffusion) and math.isfinite(semantic)):
            raise TrainingDivergedError(
                f"the loss became NaN or infinite between steps {self._interval_start} and {step} (L_LDM {diffusion}, L_SEM {semantic}): "
                "lower the learning rate, lengthen the warm-up, or use precision float32 or bfloat16; the checkpoint before is intact"
            )
        seconds = (time.perf_counter() - self._clock) / steps
        line = {"step": step, "ldm": diffusion, "sem": semantic, "learning_rate": learning_rate, "seconds_per_step": round(seconds, 4)}
        self.lines.append(line)
        self._sums, self._interval_start, self._clock = None, step, time.perf_counter()
        return line

    @property
    def open_steps(self) -> bool:
        """Whether steps were added since the last line."""
        return self._sums is not None

    def write(self) -> None:
        """Write all lines so far, atomically."""
        self._workspace.write_file("".join(json.dumps(line) + "\n" for line in self.lines).encode(), *self._place)

    def _read(self) -> list[dict[str, Any]]:
        if not self._workspace.exists(*self._place):
            return []
        return [json.loads(line) for line in self._workspace.read_file(*self._place).decode().splitlines()]


def mean_losses(diffusion: Tensor, semantic: Tensor) -> Tensor:
    """Batch means of both losses as one tensor [2]."""
    return torch.stack([diffusion.mean(), semantic.mean()])
