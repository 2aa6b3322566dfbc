"""Says when requests are waiting and none has been answered for a while: at which endpoint, why, and how long it will be waited for."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from coemogen_core.captioning.server.endpoint import Endpoint

FIRST_SAID_S = 8.0  # who waits for a server is told so within ten seconds
SAID_AGAIN_AFTER = 4
"""A silence is reported again when it is four times as long as the longest that was reported: a slow server fills no log."""
LOOK_S = 0.5

logger = logging.getLogger(__name__)


class SilenceWatch:
    """Watches endpoints; touched by the client's event loop alone. Of those that are down their pool speaks."""

    def __init__(self) -> None:
        self._asking = 0
        self._since = 0.0
        self._said_after = FIRST_SAID_S

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the asking for one caption, until it is answered, its pauses and repetitions included."""
        if not self._asking:
            self._since = time.monotonic()
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            self._since = time.monotonic()

    async def run(self, endpoints: Sequence[Endpoint]) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            silent = time.monotonic() - self._since
            if self._asking and silent >= self._said_after:
                self._said_after = SAID_AGAIN_AFTER * silent
                for endpoint in endpoints:
                    if endpoint.up:
                        logger.warning("%s", silence_of(endpoint, silent))


def silence_of(endpoint: Endpoint, silent_s: float) -> str:
    """One line about an endpoint that is up and has not answered for so many seconds."""
    left = endpoint.paused_until - time.monotonic()
    if left > 0:
        waited = f"it asked to be left alone for another {left:.0f} s"
    else:
        waited = f"{endpoint.in_flight} requests are on their way, each is waited for up to {endpoint.timeout_s:g} s"
    said = f"; its last words: {' '.join(endpoint.last_trouble.split())}" if endpoint.last_trouble else ""
    return f"captioner {endpoint.url} has given no caption for {silent_s:.0f} s: {waited}{said}"
