"""How many requests a server can take at once: found out as TCP finds out the capacity of a line (slow start, then AIMD)."""

from dataclasses import dataclass, field

FIRST_LIMIT = 16
DECREASE = 0.7


@dataclass(slots=True)
class AdaptiveLimit:
    """Grows by one with every success until the first overload (so it doubles every round trip), then by one every round trip.

    An overload cuts it to 0.7 of itself, once for all the requests that were in flight at that moment.

    Attributes:
        most: upper bound, at least 1.
    """

    most: int
    _limit: float = field(init=False)
    _slow_start: bool = field(init=False, default=True)
    _last_cut: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._limit = float(min(FIRST_LIMIT, self.most))

    @property
    def value(self) -> int:
        """Requests that may be in flight now, 1 to `most`."""
        return int(self._limit)

    def succeeded(self) -> None:
        """A request was answered."""
        self._limit = min(float(self.most), self._limit + (1.0 if self._slow_start else 1.0 / self._limit))

    def overloaded(self, asked_at: float, now: float) -> None:
        """A request was turned away or timed out.

        Args:
            asked_at: when that request was sent, in seconds of a monotonic clock.
            now: the time now, of the same clock.
        """
        self._slow_start = False
        if asked_at >= self._last_cut:  # else that request was in flight when the limit was last cut: it says nothing new
            self._limit = max(1.0, self._limit * DECREASE)
            self._last_cut = now
