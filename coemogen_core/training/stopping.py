"""When a training ends before its last step: it has gone wrong for good, or somebody asked for it.

Wrong are losses or weights that are no numbers, and a loss that explodes. Asked to stop, a training ends with its step and saves its state,
without taking a signal from anybody: in the main thread it listens to SIGTERM itself while it runs. In another thread, where Python allows
no handler, whoever started it decides: a training inside `stops_with_this_block` stops when that block ends early, by Prefect's own
handling of SIGTERM or by Ctrl-C.
"""

import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import median
from types import FrameType

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


_ENCLOSING: ContextVar[threading.Event | None] = ContextVar("request to stop", default=None)


class TrainingStoppedError(CoEmoGenError):
    """A training was asked to stop, and did, leaving a checkpoint of its last step."""


@contextmanager
def stops_with_this_block() -> Iterator[None]:
    """Trainings started inside, in this context or in a copy of it, stop when an exception leaves the block before they are done."""
    request = threading.Event()
    token = _ENCLOSING.set(request)
    try:
        yield
    except BaseException:
        request.set()
        raise
    finally:
        _ENCLOSING.reset(token)


@contextmanager
def listens_to_sigterm() -> Iterator[threading.Event]:
    """Gives what is set when the training inside is to stop. The process's own answer to SIGTERM comes after the block, not in its midst.

    The handler that was there is put back at the end, and if SIGTERM came it gets the signal then: Prefect marks its run, a plain process
    ends as it would have. Where SIGTERM is ignored it stays so.
    """
    request = _ENCLOSING.get() or threading.Event()
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
        yield request
        return
    received = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        received.set()
        request.set()

    signal.signal(signal.SIGTERM, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
        if received.is_set():
            signal.raise_signal(signal.SIGTERM)
