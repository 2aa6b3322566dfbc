"""Forward passes whose shape a library computes alike: a row's bytes depend on the row alone, not on what is computed beside it.

Matrix products and convolutions sum in another order for another number of rows. On a CPU with one thread and with two, CLIP's rows (the
lab's, and layers as wide as ViT-L/14's) are equal to the last bit in all batches of a multiple of eight. Convolutions need passes of
one size: the library picks how to compute them by the size of the whole batch.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

Rows = TypeVar("Rows", np.ndarray, torch.Tensor)

MULTIPLE = 8


def filled_up(rows: Rows, multiple: int = MULTIPLE) -> Rows:
    """Rows [n, ...] and copies of the last one, as many as make a multiple; cut what is computed of them to the first n. None stay none."""
    missing: int = -len(rows) % multiple
    return rows[[*range(len(rows)), *[len(rows) - 1] * missing]] if missing else rows


def in_equal_passes(compute: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """What `compute` makes of rows [n, ...], eight at a time and never fewer."""
    return each_in_equal_passes(lambda eight: [compute(eight)], rows)[0]


def each_in_equal_passes(compute: Callable[[torch.Tensor], Sequence[torch.Tensor]], rows: torch.Tensor) -> list[torch.Tensor]:
    """The same where `compute` makes several tensors [8, ...] of eight rows: each of them for all rows."""
    passes = [compute(eight) for eight in filled_up(rows).split(MULTIPLE)]
    return [torch.cat(found)[: len(rows)] for found in zip(*passes, strict=True)]
