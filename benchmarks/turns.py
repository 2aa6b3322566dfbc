"""Timing by turns: every side once a round, so that a machine that is busy for a while is so for all of them."""

import statistics
import time
from collections.abc import Callable, Mapping


def seconds_by_turns(sides: Mapping[str, Callable[[], float | None]], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of a turn of every side.

    Args:
        sides: by name, what one turn does; it may return its seconds where it keeps the time itself.
        rounds: how often each has its turn.
        warm_up: rounds before these that do not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warm_up + rounds):
        for name, turn in sides.items():
            started = time.perf_counter()
            own = turn()
            if number >= warm_up:
                taken[name].append(time.perf_counter() - started if own is None else own)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}
