"""One endpoint: an OpenAI-compatible server, how much it can take, and whether anyone is there."""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp
import openai
from multidict import CIMultiDict
from openai import AsyncOpenAI
from yarl import URL

from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.recipe import ServerSettings
from coemogen_core.captioning.server.api_key import key_in_words, read_key
from coemogen_core.captioning.server.connections import async_client_of, connections
from coemogen_core.captioning.server.outcome import RequestOutcome, outcome_of_error, outcome_of_response

FIRST_LIMIT = 16
DECREASE = 0.7


@dataclass(slots=True)
class AdaptiveLimit:
    """Grows by one with every success until the first overload (so it doubles every round trip), then by one every round trip.

    An overload cuts it to 0.7 of itself, once for all the requests that were in flight at that moment.
    """

    most: int  # upper bound, at least 1
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
        """A request that was sent at `asked_at` was turned away or timed out; both times are seconds of one monotonic clock."""
        self._slow_start = False
        if asked_at >= self._last_cut:  # else that request was in flight when the limit was last cut: it says nothing new
            self._limit = max(1.0, self._limit * DECREASE)
            self._last_cut = now


PROBE_TIMEOUT_S = 8.0  # who waits for a server is told so within ten seconds
CONNECT_TIMEOUT_S = 10.0
CHAT_PATH = "/chat/completions"
REFUSALS_AT_FIRST, REFUSALS_LATER = 8, 64
TELEMETRY_HEADERS = "X-Stainless-"  # the openai client tells servers about the machine that it runs on


@dataclass(slots=True)
class Endpoint:
    """State of one endpoint. Touched by the client's event loop alone."""

    url: str  # base URL of the API
    chat_url: URL
    client: AsyncOpenAI  # for its settings, and the list of models
    # Carries the chat requests. Through the openai client, one would cost three times as much computing as here, and at hundreds of
    # pictures a second the client's processor is what sets the pace.
    session: aiohttp.ClientSession
    limit: AdaptiveLimit  # how many requests it can take at once
    timeout_s: float
    key_variable: str
    in_flight: int = 0  # requests sent and not answered
    up: bool = True  # whether someone is there, as far as we know
    paused_until: float = 0.0  # monotonic time until which it asked to be left alone
    is_vllm: bool = False  # it then caches pictures by id
    down_reason: str = ""
    last_trouble: str = ""  # why the last request that was not answered was not
    wants_newer_limit: bool = False  # it knows `max_completion_tokens` instead of `max_tokens`
    answers: int = 0
    refusals_in_a_row: int = 0
    running_probe: asyncio.Task[bool] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, url: str, settings: ServerSettings) -> "Endpoint":
        """An endpoint that nobody has asked yet. Must be called in the event loop.

        Raises:
            ValueError: the key cannot be sent.
        """
        key, http_client = read_key(settings.api_key_variable), async_client_of(url, settings.timeout_s)
        client = AsyncOpenAI(base_url=url, api_key=key, timeout=settings.timeout_s, max_retries=0, http_client=http_client)
        chat_url = URL(url.rstrip("/") + CHAT_PATH)
        session = aiohttp.ClientSession(
            headers=request_headers(client, chat_url),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, settings.timeout_s)),
            cookie_jar=aiohttp.DummyCookieJar(),
            **connections(url),
        )
        limit = AdaptiveLimit(settings.concurrency)
        return cls(url, chat_url, client, session, limit, settings.timeout_s, settings.api_key_variable)

    async def close(self) -> None:
        """Close the connections."""
        await self.session.close()
        await self.client.close()

    def has_room(self, now: float) -> bool:
        """Whether another request may be sent now."""
        return self.up and self.in_flight < self.limit.value and now >= self.paused_until

    async def ask(self, body: bytes) -> RequestOutcome:
        """Send one chat request (JSON) and wait for what becomes of it."""
        newer = self.wants_newer_limit
        sent = body.replace(b'"max_tokens":', b'"max_completion_tokens":', 1) if newer else body  # in a text, quotes would be escaped
        try:
            async with self.session.post(self.chat_url, data=sent) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return outcome_of_error(error, self.timeout_s)
        outcome = outcome_of_response(response.status, response.headers, content)
        if outcome.meaning == "refused" and not newer and "max_completion_tokens" in outcome.detail:
            self.wants_newer_limit = True
            return await self.ask(body)
        return outcome

    async def probe(self, model: str) -> bool:
        """Ask once for the list of models: is anyone there, and is our model served?

        Raises:
            EndpointError: someone is there who refuses the key, or does not serve the model.
        """
        try:
            page = await self.client.with_options(timeout=min(PROBE_TIMEOUT_S, self.timeout_s), max_retries=0).models.list()
            served = {entry.id: getattr(entry, "owned_by", None) for entry in page.data}
        except openai.APIConnectionError as error:
            self.down_reason = str(error.__cause__ or "") or type(error.__cause__ or error).__name__
            return False
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                refusal = outcome_of_response(error.status_code, error.response.headers, error.response.content)
                raise self.misconfigured(model, refusal.detail) from error
            self.down_reason = f"HTTP {error.status_code}"
            return error.status_code < 500  # not every server lists its models; one that is just starting answers 5xx
        except Exception:  # someone is there, whatever it answered
            return True
        if served and model not in served:
            raise EndpointError(
                f"{self.url} does not serve {model!r} but {', '.join(list(served)[:5])}: set the recipe's `model` to the served name"
            )
        self.is_vllm = served.get(model) == "vllm"
        return True

    @property
    def refuses_everybody(self) -> bool:
        """Whether so many different pictures were refused one after the other that it cannot be the pictures."""
        return self.refusals_in_a_row >= (REFUSALS_LATER if self.answers else REFUSALS_AT_FIRST)

    def refuses(self, detail: str) -> EndpointError:
        """The error to raise when it refuses everybody."""
        return EndpointError(
            f"{self.url} refused {self.refusals_in_a_row} pictures one after the other: {' '.join(detail.split())}; "
            "change the server or the recipe as it says, and run the command again: refused pictures are asked again"
        )

    def misconfigured(self, model: str, detail: str) -> EndpointError:
        """The error to raise when no request can succeed here."""
        return EndpointError(
            f"{self.url} answered {' '.join(detail.split())} for model {model!r}: "
            f"check `model`, `endpoints` (each ends in /v1) and {key_in_words(self.key_variable)}"
        )

    def note(self, outcome: RequestOutcome, asked_at: float) -> None:
        """Learn from what became of a request that was sent at `asked_at` (monotonic)."""
        now = time.monotonic()
        self.answers += outcome.meaning == "answered"
        self.last_trouble = outcome.detail or self.last_trouble
        if outcome.meaning in ("answered", "unusable"):
            self.refusals_in_a_row = 0
        self.refusals_in_a_row += outcome.meaning == "refused"
        if outcome.meaning in ("answered", "unusable", "refused"):
            self.limit.succeeded()
        elif outcome.meaning == "overloaded" or outcome.slow:
            self.limit.overloaded(asked_at, now)
        if outcome.retry_after_s is not None and outcome.meaning == "overloaded":
            self.paused_until = max(self.paused_until, now + outcome.retry_after_s)


def request_headers(client: AsyncOpenAI, url: URL) -> CIMultiDict[str]:
    """What the openai client would send with a request to that address, its key included, but for what it tells about the machine.

    The key is no part of its `default_headers`. `OPENAI_CUSTOM_HEADERS` are, and go before the key; a user in the address goes before both.
    """
    headers = CIMultiDict(client.auth_headers)
    for name, value in client.default_headers.items():
        if isinstance(value, str) and not name.startswith(TELEMETRY_HEADERS):
            headers[name] = value
    if url.user or url.password:
        headers.popall("Authorization", None)
    return headers
