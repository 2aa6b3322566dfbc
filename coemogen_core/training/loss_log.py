"""The log of a training: one JSON line per interval, with both losses over all samples and over those of each emotion."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.tracking import TensorBoardTracker
from torch import Tensor

from coemogen_core.emotions import EMOTIONS
from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.stopping import check_explosion, check_losses

FOLDER = "tensorboard"


class TensorBoardCurves:
    """Writes log lines as scalars, by accelerate's tracker. Only on a local disk: event files grow, objects in a bucket do not.

    The files are made anew from the log at every start: after an interruption no interval is missing, and none stands there twice.
    """

    def __init__(self, workspace: Workspace, run_id: str, lines: list[dict[str, Any]], *, enabled: bool) -> None:
        """Start the curves with the lines so far; switched off, nothing is written."""
        folder = local_folder(workspace.path("runs", run_id)) if enabled else None
        self._tracker: TensorBoardTracker | None = None
        if folder is None:
            return
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        self._tracker = TensorBoardTracker(FOLDER, folder)
        self._tracker.start()
        for line in lines:
            self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        """Write one interval: both losses, overall and per emotion, learning rate and time per step."""
        if self._tracker is None:
            return
        scalars = {"L_LDM/all": line["ldm"], "L_SEM/all": line["sem"], "learning_rate": line["learning_rate"]}
        scalars["seconds_per_step"] = line["seconds_per_step"]
        for emotion, losses in line.get("emotions", {}).items():
            scalars |= {f"L_LDM/{emotion}": losses["ldm"], f"L_SEM/{emotion}": losses["sem"]}
        self._tracker.log(scalars, step=line["step"])

    def close(self) -> None:
        """Write what is pending."""
        if self._tracker is not None:
            self._tracker.finish()


SMOOTHING = 0.9  # weight of the past in the smoothed loss, per interval


class LossLog:
    """Means of both losses over intervals of steps, written to `<run>/log.jsonl`.

    Losses are added up where they are computed and read once per interval, so that a GPU is not waited for at every step. An interval that
    is open when a training stops goes on when it is resumed, so the lines are those of a training that never stopped.
    """

    def __init__(
        self,
        workspace: Workspace,
        run_id: str,
        semantic_weight: float = 1.0,
        explosion_factor: float | None = None,
        reduce: Callable[[Tensor], Tensor] = lambda sums: sums,
    ) -> None:
        """Open the log of a run; `reduce` adds up a tensor over all processes."""
        self._workspace = workspace
        self._place = ("runs", run_id, "log.jsonl")
        self._weight, self._explosion_factor = semantic_weight, explosion_factor
        self._reduce = reduce
        self.lines: list[dict[str, Any]] = []
        self._sums: Tensor | None = None  # [8, 3]: per emotion L_LDM, L_SEM and samples of the open interval, in this process
        self._interval_start = self._steps = 0
        self._clock = time.perf_counter()

    def resume(self, step: int, sums: Tensor | None) -> None:
        """Go on after `step` finished steps: later lines go, and the interval that was open then is open again."""
        self.lines = [line for line in read_log(self._workspace, self._place[1]) if line["step"] <= step]
        self._interval_start = self.lines[-1]["step"] if self.lines else 0
        self._sums = sums
        self._steps, self._clock = 0, time.perf_counter()

    def add(self, labels: Tensor, diffusion: Tensor, semantic: Tensor) -> None:
        """Add the losses [b] of samples with these labels [b]."""
        values = torch.stack([diffusion, semantic, torch.ones_like(diffusion)], dim=1).detach()
        sums = F.one_hot(labels, len(EMOTIONS)).to(values.dtype).T @ values
        self._sums = sums if self._sums is None else self._sums + sums

    def end_step(self) -> None:
        """Count a step for the time per step."""
        self._steps += 1

    def open_sums(self, step: int) -> Tensor | None:
        """What the open interval holds so far, over all processes: [8, 3], None when it is empty.

        Raises:
            TrainingDivergedError: a loss of it was NaN or infinite.
        """
        if self._sums is None:
            return None
        sums = self._reduce(self._sums)
        diffusion, semantic, samples = sums.sum(0).tolist()
        check_losses(diffusion / samples, semantic / samples, self._interval_start, step)
        return sums

    def close_interval(self, step: int, learning_rate: float) -> dict[str, Any]:
        """End the interval after `step` finished steps; returns its line.

        Raises:
            TrainingDivergedError: a loss of the interval was NaN or infinite, or so many times the usual.
            ValueError: it has no samples.
        """
        sums = self.open_sums(step)
        if sums is None:
            raise ValueError(f"no losses were added between steps {self._interval_start} and {step}: an interval has a step at least")
        diffusion, semantic, samples = sums.sum(0).tolist()
        before = [self._total(line) for line in self.lines]
        line = {"step": step, "ldm": diffusion / samples, "sem": semantic / samples, "learning_rate": learning_rate}
        check_explosion(self._total(line), before, self._explosion_factor, self._interval_start, step)
        line["seconds_per_step"] = round((time.perf_counter() - self._clock) / max(self._steps, 1), 4)
        line["emotions"] = {
            emotion: {"ldm": row[0] / row[2], "sem": row[1] / row[2], "samples": int(row[2])}
            for emotion, row in zip(EMOTIONS, sums.tolist(), strict=True)
            if row[2]
        }
        self.lines.append(line)
        self._sums, self._interval_start, self._steps, self._clock = None, step, 0, time.perf_counter()
        return line

    @property
    def smoothed_loss(self) -> float | None:
        """L = L_LDM + w L_SEM, averaged over the intervals with weights that fall by `SMOOTHING` into the past; None without intervals."""
        return smooth([self._total(line) for line in self.lines])[-1] if self.lines else None

    def write(self) -> None:
        """Write all lines so far, atomically."""
        self._workspace.write_file("".join(json.dumps(line) + "\n" for line in self.lines).encode(), *self._place)

    def _total(self, line: dict[str, Any]) -> float:
        return line["ldm"] + self._weight * line["sem"]


def read_log(workspace: Workspace, run_id: str) -> list[dict[str, Any]]:
    """Lines of a run's log: step, ldm, sem, learning_rate, seconds_per_step, and the losses by emotion. Empty when there is no log."""
    place = ("runs", run_id, "log.jsonl")
    if not workspace.exists(*place):
        return []
    return [json.loads(line) for line in workspace.read_file(*place).decode().splitlines()]


def smooth(values: Sequence[float], decay: float = SMOOTHING) -> list[float]:
    """Running weighted mean of a sequence: a value's weight falls by `decay` with every later one, and all weights sum to one."""
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = decay * total + value, decay * weight + 1
        smoothed.append(total / weight)
    return smoothed
