"""When a training has gone wrong for good: losses or weights that are no numbers, a loss that explodes."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

import torch
from torch import Tensor

from coemogen_core.errors import CoEmoGenError

MEDIAN_OVER = 50  # log intervals before the one that is judged
JUDGED_FROM = 5  # intervals: the first losses of a training may well fall by a multiple


class TrainingDivergedError(CoEmoGenError):
    """A loss or a weight became NaN or infinite, or the loss exploded."""


def check_losses(diffusion: float, semantic: float, start: int, step: int) -> None:
    """Losses of the steps after `start` up to `step` must be numbers.

    Raises:
        TrainingDivergedError: one is NaN or infinite.
    """
    if not (math.isfinite(diffusion) and math.isfinite(semantic)):
        raise TrainingDivergedError(
            f"the loss became NaN or infinite between steps {start} and {step} (L_LDM {diffusion}, L_SEM {semantic}): "
            "lower the learning rate, lengthen the warm-up, or use precision float32 or bfloat16; the checkpoint before is intact"
        )


def check_explosion(loss: float, before: Sequence[float], factor: float | None, start: int, step: int) -> None:
    """An interval's mean loss must stay below a multiple of the median of the intervals before it.

    Raises:
        TrainingDivergedError: it does not.
    """
    if factor is None or len(before) < JUDGED_FROM:
        return
    usual = median(before[-MEDIAN_OVER:])
    if loss > factor * usual:
        raise TrainingDivergedError(
            f"the loss exploded between steps {start} and {step}: {loss:.4g}, more than {factor:g} times its running median {usual:.4g}: "
            "lower the learning rate or lengthen the warm-up (the checkpoints before are intact), or raise explosion_factor"
        )


def check_tensors(tensors: Mapping[str, Tensor], step: int) -> None:
    """A state worth keeping holds numbers only.

    Raises:
        TrainingDivergedError: a tensor holds NaN or infinity; the message names the first.
    """
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise TrainingDivergedError(
            f"after step {step}, {len(broken)} tensors of the training hold NaN or infinity, the first is {broken[0]}: no checkpoint was "
            "written; lower the learning rate, lengthen the warm-up, or use precision float32 or bfloat16; the checkpoint before is intact"
        )
