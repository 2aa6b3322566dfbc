"""The client of the captioning servers: one event loop in a thread of its own, shared by all parts that this process captions."""

import asyncio
import gc
import math
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, failure
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.chat_request import request_body
from coemogen_core.captioning.server.outcome import RequestOutcome
from coemogen_core.captioning.server.pool import EndpointPool
from coemogen_core.captioning.server.silence import SilenceWatch
from coemogen_core.data.decode import UnreadableImage

_Prepared = tuple[str, bytes | UnreadableImage]  # id of a picture, and the JSON of its request

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 20.0
TURNED_AWAY_PER_RETRY = 10
"""A 429 or 503 says nothing about the request, so it may be turned away ten times for each retry that its own failures are allowed."""


class CaptionClient:
    """Sends requests to a pool of endpoints and waits for their answers. Thread-safe: `submit` may be called from anywhere."""

    def __init__(self, recipe: CaptionRecipe, settings: ServerSettings) -> None:
        self._recipe, self._settings = recipe, settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="caption-client", daemon=True)
        self._threads = os.cpu_count() or 1
        self._preparing = ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="caption-picture")
        self._pool = EndpointPool(recipe.model, settings)
        self._silence = SilenceWatch()

    def open(self) -> None:
        """Start the loop and probe the endpoints.

        Raises:
            EndpointError: an endpoint does not serve the model or refuses the key.
            EndpointUnreachableError: nobody answers anywhere.
        """
        gc.freeze()  # libraries hold half a million objects: looking through them again and again took a fifth of the client's time
        self._thread.start()
        try:
            self._run(self._pool.open())
            asyncio.run_coroutine_threadsafe(self._silence.run(self._pool.endpoints), self._loop)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what is in flight and end the loop's thread."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._preparing.shutdown(cancel_futures=True)
        gc.unfreeze()

    def submit(self, requests: list[CaptionRequest], sink: Callable[[CaptionAnswer], None]) -> "Future[list[CaptionAnswer]]":
        """Ask for captions; the future holds the answers in order.

        The requests are made ready before this returns, with the help of as many threads as there are processors, so that the thread of the
        loop has nothing to do but to send and receive.

        Args:
            requests: what to ask; the list is emptied, so that a picture is held as itself or as a request, not as both.
            sink: called with each answer as it comes, in the thread of the loop. Must not raise.
        """
        with_image_id = all(endpoint.is_vllm for endpoint in self._pool.endpoints)
        size = math.ceil(len(requests) / self._threads) or 1
        groups = [requests[start : start + size] for start in range(0, len(requests), size)]
        requests.clear()
        made = self._preparing.map(partial(_prepared, recipe=self._recipe, with_image_id=with_image_id), groups)
        prepared = [each for group in made for each in group]
        return asyncio.run_coroutine_threadsafe(self._answer_all(prepared, sink), self._loop)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._pool.close()

    async def _answer_all(self, prepared: "list[_Prepared]", sink: Callable[[CaptionAnswer], None]) -> list[CaptionAnswer]:
        tasks = [asyncio.create_task(self._answer(*each, sink)) for each in prepared]
        prepared.clear()  # each task lets go of its request when it is answered
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _answer(self, image_id: str, body: bytes | UnreadableImage, sink: Callable[[CaptionAnswer], None]) -> CaptionAnswer:
        if isinstance(body, UnreadableImage):
            answer = CaptionAnswer(image_id, error=failure("unreadable image", str(body)), asked_at=time.time())
        else:
            with self._silence.asking():
                answer = await self._ask(image_id, body)
        sink(answer)
        return answer

    async def _ask(self, image_id: str, body: bytes) -> CaptionAnswer:
        """Send a request until it is answered, or has failed often enough."""
        failed = turned_away = deaths = 0
        while True:
            endpoint = await self._pool.acquire()
            asked_at, sent = time.time(), time.monotonic()
            outcome = RequestOutcome("failed", detail="cancelled")
            try:
                outcome = await endpoint.ask(body)
            finally:
                self._pool.release(endpoint, outcome, sent)
            seconds = time.monotonic() - sent
            if outcome.meaning == "misconfigured":
                raise endpoint.misconfigured(self._recipe.model, outcome.detail)
            if outcome.meaning == "refused" and endpoint.refuses_everybody:
                raise endpoint.refuses(outcome.detail)
            if outcome.meaning in ("answered", "unusable", "refused"):
                return _answer_of(image_id, outcome, asked_at, seconds)
            died = outcome.meaning == "lost" and not await self._pool.is_there(endpoint)
            deaths += died  # the server's fault, as it seems; but a picture that kills servers must not go on for ever
            failed += outcome.meaning == "failed" or (outcome.meaning == "lost" and not died)
            turned_away += outcome.meaning == "overloaded"
            if (
                failed > self._settings.max_retries
                or deaths > self._settings.max_retries + 1
                or turned_away > TURNED_AWAY_PER_RETRY * (self._settings.max_retries + 1)
            ):
                return _answer_of(image_id, outcome, asked_at, seconds)
            if outcome.meaning != "unreachable" and not died:  # there, waiting for a slot is the pause
                await asyncio.sleep(_pause(failed + turned_away, outcome.retry_after_s))


class _Shared:
    """A client, how many parts use it, and whose turn it is to open it."""

    def __init__(self) -> None:
        self.client: CaptionClient | None = None
        self.users = 0
        self.opening = threading.Lock()


_clients: dict[tuple[CaptionRecipe, ServerSettings], _Shared] = {}
_lock = threading.Lock()


@contextmanager
def shared_client(recipe: CaptionRecipe, settings: ServerSettings) -> Iterator[CaptionClient]:
    """The process's client for these settings: opened by the first part that needs it, closed by the last.

    Raises:
        EndpointError, EndpointUnreachableError: see `CaptionClient.open`.
    """
    key = (recipe, settings)
    with _lock:
        shared = _clients.setdefault(key, _Shared())
        shared.users += 1
    try:
        with shared.opening:  # may take as long as our patience; clients of other servers need not wait for it
            if shared.client is None:
                client = CaptionClient(recipe, settings)
                client.open()
                shared.client = client
        yield shared.client
    finally:
        with _lock:
            shared.users -= 1
            last = shared.users == 0
            if last:
                del _clients[key]
        if last and shared.client is not None:
            shared.client.close()


def _prepared(requests: list[CaptionRequest], recipe: CaptionRecipe, with_image_id: bool) -> list[_Prepared]:
    """The requests as they go over the wire; decoding and scaling pictures lets other threads run."""
    prepared: list[_Prepared] = []
    for request in requests:
        try:
            prepared.append((request.image_id, request_body(request, recipe, with_image_id=with_image_id)))
        except UnreadableImage as error:
            prepared.append((request.image_id, error))
    return prepared


def _answer_of(image_id: str, outcome: RequestOutcome, asked_at: float, seconds: float) -> CaptionAnswer:
    if outcome.meaning != "answered":
        return CaptionAnswer(image_id, error=failure(outcome.kind, outcome.detail), latency_s=seconds, asked_at=asked_at)
    tokens = (outcome.prompt_tokens, outcome.completion_tokens)
    return CaptionAnswer(image_id, outcome.text, None, *tokens, latency_s=seconds, finish_reason=outcome.finish_reason, asked_at=asked_at)


def _pause(tries: int, asked_for_s: float | None) -> float:
    """Seconds before the next try: exponential backoff with full jitter, and no less than the server asked for."""
    backoff = random.uniform(0, min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2**tries))
    return (asked_for_s or 0.0) + backoff
