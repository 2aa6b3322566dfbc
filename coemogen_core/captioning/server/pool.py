"""Several endpoints as one: each request goes where there is most room; who dies is taken out and tried again."""

import asyncio
import logging
import time
from collections import deque

from coemogen_core.captioning.backend import EndpointUnreachableError
from coemogen_core.captioning.recipe import ServerSettings
from coemogen_core.captioning.server.endpoint import Endpoint
from coemogen_core.captioning.server.outcome import RequestOutcome

FIRST_PROBE_S = 0.25
LONGEST_PROBE_S = 5.0

logger = logging.getLogger(__name__)


class EndpointPool:
    """Hands out endpoints with room, first come, first served. All but its making happens in one event loop."""

    def __init__(self, model: str, settings: ServerSettings) -> None:
        self.endpoints: list[Endpoint] = []
        self._model, self._settings = model, settings
        self._waiting: deque[asyncio.Future[Endpoint]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._error: Exception | None = None

    async def open(self) -> None:
        """Open every endpoint and probe it once.

        Raises:
            EndpointError: an endpoint refuses the key or does not serve the model.
            EndpointUnreachableError: nobody answers anywhere for `patience_s`.
        """
        self.endpoints = [Endpoint.open(url, self._settings) for url in self._settings.endpoints]
        await asyncio.gather(*(self._first_probe(endpoint) for endpoint in self.endpoints))
        if not any(endpoint.up for endpoint in self.endpoints):
            self._start_alarm()
            first = await self.acquire()
            first.in_flight -= 1

    async def acquire(self) -> Endpoint:
        """Wait for an endpoint with room and take a slot there. `release` gives it back.

        Raises:
            EndpointUnreachableError: all endpoints have been away for longer than `patience_s`.
        """
        if self._error is not None:
            raise self._error
        endpoint = None if self._waiting else self._roomiest()
        if endpoint is not None:
            endpoint.in_flight += 1
            return endpoint
        turn: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                turn.result().in_flight -= 1
                self._serve()
            raise

    def release(self, endpoint: Endpoint, outcome: RequestOutcome, asked_at: float) -> None:
        """Give the slot back, and learn from what became of the request."""
        endpoint.in_flight -= 1
        endpoint.note(outcome, asked_at)
        if outcome.meaning == "unreachable":
            self._take_out(endpoint, outcome.detail)
        elif endpoint.paused_until > time.monotonic():
            self._serve_at(endpoint.paused_until)
        self._serve()

    async def is_there(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is still there after it lost a connection; if not, it is taken out. One probe serves all who ask."""
        if not endpoint.up:
            return False
        if endpoint.running_probe is None:
            endpoint.running_probe = asyncio.create_task(endpoint.probe(self._model))
            endpoint.running_probe.add_done_callback(lambda _: setattr(endpoint, "running_probe", None))
        there = await asyncio.shield(endpoint.running_probe)
        if not there:
            self._take_out(endpoint, endpoint.down_reason)
        return there

    async def close(self) -> None:
        """Stop probing and close the connections."""
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in self.endpoints:
            await endpoint.close()

    async def _first_probe(self, endpoint: Endpoint) -> None:
        if not await endpoint.probe(self._model):
            endpoint.up = False
            self._probe_until_back(endpoint)

    def _take_out(self, endpoint: Endpoint, why: str) -> None:
        if not endpoint.up:
            return
        endpoint.up, endpoint.down_reason = False, why
        logger.warning("captioner %s is gone (%s): taken out, tried again until it is back", endpoint.url, why)
        self._probe_until_back(endpoint)
        if not any(other.up for other in self.endpoints):
            self._start_alarm()

    def _probe_until_back(self, endpoint: Endpoint) -> None:
        task = asyncio.create_task(self._probing(endpoint))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _probing(self, endpoint: Endpoint) -> None:
        pause = FIRST_PROBE_S
        while True:
            await asyncio.sleep(pause)
            try:
                if await endpoint.probe(self._model):
                    break
            except Exception as error:  # it came back as another one: whoever waits must know
                self._fail(error)
                return
            pause = min(2 * pause, LONGEST_PROBE_S)
        logger.warning("captioner %s is back", endpoint.url)
        endpoint.up = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._serve()

    def _start_alarm(self) -> None:
        if self._alarm is None:
            logger.warning("no captioner answers at %s: waiting for up to %g s", self._asked(), self._settings.patience_s)
            self._alarm = asyncio.get_running_loop().call_later(self._settings.patience_s, self._give_up)

    def _give_up(self) -> None:
        self._fail(
            EndpointUnreachableError(
                f"no captioner answers at {self._asked()} for {self._settings.patience_s:g} s: start one, for example "
                f"`vllm serve {self._model} --host 127.0.0.1 --port 8000`, correct `endpoints`, or choose backend=local; "
                "what was captioned before is kept"
            )
        )

    def _asked(self) -> str:
        return ", ".join(f"{endpoint.url} ({endpoint.down_reason})" for endpoint in self.endpoints)

    def _fail(self, error: Exception) -> None:
        self._error = error
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def _roomiest(self) -> Endpoint | None:
        now = time.monotonic()
        open_ones = [endpoint for endpoint in self.endpoints if endpoint.has_room(now)]
        return min(open_ones, key=lambda endpoint: endpoint.in_flight / endpoint.limit.value, default=None)

    def _serve(self) -> None:
        """Hand out slots to those who wait, oldest first."""
        while self._waiting:
            if self._waiting[0].done():  # its request was cancelled
                self._waiting.popleft()
                continue
            endpoint = self._roomiest()
            if endpoint is None:
                return
            endpoint.in_flight += 1
            self._waiting.popleft().set_result(endpoint)

    def _serve_at(self, moment: float) -> None:
        asyncio.get_running_loop().call_later(max(0.0, moment - time.monotonic()) + 0.001, self._serve)
