"""Stopping a training from outside: at the end of a step, with its state saved, and without taking a signal from anybody.

A training in the main thread listens to SIGTERM itself while it runs. In another thread, where Python allows no handler, whoever started it
decides: a training inside `stops_with_this_block` stops when that block ends early, by Prefect's own handling of SIGTERM or by Ctrl-C.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from coemogen_core.errors import CoEmoGenError

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
