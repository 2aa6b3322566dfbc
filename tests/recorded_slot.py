"""A slot that knows whether it is held, and how often it was asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class RecordedSlot:
    """Given to a core function as its `slot`."""

    def __init__(self) -> None:
        self.entered = 0
        self.is_held = False
        self.seen: list[bool] = []
        """Of every watched call, whether the slot was held."""
        self.while_waiting: Callable[[], object] = lambda: None
        """What another run does while this one waits."""

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.while_waiting()
        self.entered += 1
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; every call of it is seen."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.seen.append(self.is_held)
            return function(*args, **kwargs)

        return watched
