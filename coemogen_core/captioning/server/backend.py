"""Captions from OpenAI-compatible chat servers with images: vLLM, `transformers serve`, llama.cpp, a hosted API."""

import asyncio
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock

from coemogen_core.captioning.backend import CaptionAnswer, Chunk, Sink
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.client import CaptionClient, shared_client

MOST_IN_RESERVE = 100
"""Requests that a part holds ready besides its share of the slots: they go out while its thread reads the next pictures."""
Finished = tuple[Chunk, "Future[list[CaptionAnswer]]"]


class ServerBackend:
    """Keeps every slot at the endpoints busy, and hands back chunks as they are done: a slow picture holds up its own chunk alone."""

    remembers = True

    def __init__(self, recipe: CaptionRecipe, settings: ServerSettings) -> None:
        self._recipe, self._settings = recipe, settings

    def answer(self, chunks: Iterable[Chunk], sink: Sink) -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        """See `CaptionBackend.answer`.

        Raises:
            EndpointUnreachableError: nobody answered at any endpoint for `patience_s`.
            EndpointError: a server does not serve this model, or refuses the key.
        """
        with shared_client(self._recipe, self._settings) as client:
            slots = self._settings.concurrency * len(self._settings.endpoints)
            share = math.ceil(slots / self._settings.parts_at_once)
            stream = _Stream(client, sink, most_unanswered=share + min(share, MOST_IN_RESERVE))
            try:
                for chunk in chunks:
                    stream.send(chunk)
                    yield from stream.finished_now()
                    while stream.is_full:
                        yield from stream.next_event()
                while stream.in_flight:
                    yield from stream.next_event()
            finally:
                stream.cancel()


class _Stream:
    """The chunks of one part that are with the client. What happens there comes back through one queue, so this thread can sleep.

    Answers come one by one in the thread of the client's loop. They are passed on in lots, as many as one turn of the loop brought: each
    write to a disk would else be an occasion for another thread to take the interpreter away from the loop, and it comes back late.
    """

    def __init__(self, client: CaptionClient, sink: Sink, most_unanswered: int) -> None:
        self._client, self._sink, self._most = client, sink, most_unanswered
        self._events: SimpleQueue[Finished | Exception | None] = SimpleQueue()  # None: there is room for another chunk
        self._fresh: list[CaptionAnswer] = []  # touched by the thread of the loop alone
        self._unanswered, self._lock = 0, Lock()
        self.in_flight: set[Future[list[CaptionAnswer]]] = set()

    @property
    def is_full(self) -> bool:
        return self._unanswered >= self._most

    def send(self, chunk: Chunk) -> None:
        with self._lock:
            self._unanswered += len(chunk.requests)
        future = self._client.submit(list(chunk.requests), self._answered)
        self.in_flight.add(future)
        sequence = chunk.sequence  # the pictures must not wait here until the chunk is done
        future.add_done_callback(lambda done: self._events.put((Chunk(sequence, []), done)))

    def _answered(self, answer: CaptionAnswer) -> None:
        if not self._fresh:
            asyncio.get_running_loop().call_soon(self._pass_on)
        self._fresh.append(answer)

    def _pass_on(self) -> None:
        fresh, self._fresh = self._fresh, []
        try:
            self._sink(fresh)
        except Exception as error:  # a full disk, say
            self._events.put(error)
        with self._lock:
            room_before, self._unanswered = not self.is_full, self._unanswered - len(fresh)
            room_again = not room_before and not self.is_full
        if room_again:  # waking the part's thread for every lot would cost the loop's thread a third of its time
            self._events.put(None)

    def next_event(self) -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        """Wait until something happens."""
        yield from self._take(self._events.get())

    def finished_now(self) -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        """What has happened meanwhile."""
        while True:
            try:
                event = self._events.get_nowait()
            except Empty:
                return
            yield from self._take(event)

    def _take(self, event: "Finished | Exception | None") -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        if isinstance(event, Exception):
            raise event
        if event is not None:
            chunk, future = event
            self.in_flight.discard(future)
            yield chunk, future.result()

    def cancel(self) -> None:
        for future in self.in_flight:
            future.cancel()
