"""A command that gets SIGTERM or Ctrl-C ends soon, whatever it is doing: what it writes appears whole or not at all, so nothing is lost."""

import atexit
import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

GRACE_S = 6.0
"""For an orderly end: a training saves its step, a server is stopped. Then the process ends itself."""
CHILDREN_S = 1.0
FATAL = (signal.SIGTERM, signal.SIGINT)


def end_soon_after_a_signal(grace_s: float = GRACE_S) -> None:
    """From now on SIGTERM or SIGINT ends this process within the grace, besides what their handlers do; a second one ends it at once.

    Python runs a handler between two steps of the main thread, which may be minutes away, and Prefect puts its own in place. So the number
    of the signal is taken from the descriptor that Python writes it to at the moment when it comes.
    """
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # which would end the process without a word, and leave its children
        signal.signal(signal.SIGTERM, _interrupt)
    heard, ending = threading.Event(), threading.Event()
    sys.unraisablehook = _without_the_signals(sys.unraisablehook)
    looking = socket.socket(fileno=os.dup(reading.fileno()))  # without the other's timeout
    # registered first, so it comes last, after those who end theirs in order
    atexit.register(_end_children_after_a_signal, looking, heard, ending)
    threading.Thread(target=_watch, args=(reading, writing, heard, ending, grace_s), name="signal-watch", daemon=True).start()


def end_at_once_after_a_signal() -> None:
    """From now on a signal finds nothing to save: the command is done, and what is left is to end what it has started."""
    for number in FATAL:
        signal.signal(number, _end_at_once)


def _end_at_once(number: int, _frame: object) -> None:
    sys.stdout.flush()
    try:
        _end_children()
    finally:
        os._exit(128 + number)


def _interrupt(_number: int, _frame: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _end_children_after_a_signal(looking: socket.socket, heard: threading.Event, ending: threading.Event) -> None:
    """Whether one has come, the watching thread knows, or its socket, where it has not seen it yet."""
    if ending.is_set():  # by the watching thread, which ends this process too
        time.sleep(3 * CHILDREN_S)
    seen = b""
    with contextlib.suppress(OSError):
        seen = looking.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    if heard.is_set() or set(seen) & set(FATAL):  # in this order: what the thread takes out, it has noted before
        _end_children()


def _watch(reading: socket.socket, _kept_open: socket.socket, heard: threading.Event, ending: threading.Event, grace_s: float) -> None:
    deadline: float | None = None
    number = signal.SIGTERM
    while deadline is None or time.monotonic() < deadline:
        reading.settimeout(None if deadline is None else max(0.01, deadline - time.monotonic()))
        try:
            received = reading.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            break
        again = heard.is_set()
        if fatal := received[0] in FATAL:
            heard.set()
        reading.recv(1)
        if fatal and again:
            break
        if fatal:
            number, deadline = signal.Signals(received[0]), time.monotonic() + grace_s
    ending.set()
    try:
        # A process of its own, since here each system call may have to wait for a thread that computes; it has no other threads.
        this = psutil.Process()  # the main thread may end it before the helper looks; then the helper's parent is init
        if helper := os.fork():
            os.waitpid(helper, 0)
        else:
            _end_children(this)
            if select.select([], [2], [], 0)[1]:  # nobody may read what we say, and we must not wait for them
                os.write(2, f"ended by {signal.Signals(number).name}; the same command goes on where it stopped\n".encode())
    finally:
        os._exit(128 + number)


def _without_the_signals(hook: Callable[[Any], object]) -> Callable[[Any], None]:
    """What is raised by a signal while Python cleans up an object is lost, and no news: the process is ended anyway."""

    def shown(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, SystemExit | KeyboardInterrupt) and unraisable.exc_type.__name__ != "TerminationSignal":
            hook(unraisable)

    return shown


def _end_children(parent: psutil.Process | None = None) -> None:
    """Prefect's temporary server and the like, which would outlive this process, or the one that is given; all but this one."""
    with contextlib.suppress(psutil.Error):
        children = [child for child in (parent or psutil.Process()).children(recursive=True) if child.pid != os.getpid()]
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for child in children:
                with contextlib.suppress(psutil.Error):
                    end(child)
            deadline = time.monotonic() + CHILDREN_S
            while (children := [child for child in children if _lives(child)]) and time.monotonic() < deadline:
                time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    """A child that ended and was not waited for by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
