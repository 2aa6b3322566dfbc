"""One endpoint: an OpenAI-compatible server, how much it can take, and whether anyone is there."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from coemogen_core.captioning.failure import EndpointError
from coemogen_core.captioning.recipe import ServerSettings
from coemogen_core.captioning.server.adaptive_limit import AdaptiveLimit
from coemogen_core.captioning.server.outcome import RequestOutcome, outcome_of

PROBE_TIMEOUT_S = 10.0
CHAT_PATH = "/chat/completions"
JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Endpoint:
    """State of one endpoint. Touched by the client's event loop alone.

    Attributes:
        url: base URL of the API.
        client: the openai client; its own retries are off, because another endpoint may take over.
        limit: how many requests it can take at once.
        in_flight: requests sent and not answered.
        up: whether someone is there, as far as we know.
        paused_until: monotonic time until which it asked to be left alone.
        is_vllm: whether it is a vLLM, which caches pictures by id.
        trouble: why it is not up.
        look: a probe that is under way.
    """

    url: str
    client: AsyncOpenAI
    limit: AdaptiveLimit
    timeout_s: float
    key_variable: str
    in_flight: int = 0
    up: bool = True
    paused_until: float = 0.0
    is_vllm: bool = False
    trouble: str = ""
    look: asyncio.Task[bool] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, url: str, settings: ServerSettings) -> "Endpoint":
        """An endpoint that nobody has asked yet. Must be called in the event loop."""
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        client = AsyncOpenAI(
            base_url=url,
            api_key=os.environ.get(settings.api_key_variable) or "none",
            timeout=settings.timeout_s,
            max_retries=0,
            http_client=DefaultAioHttpClient(limits=limits),  # a third of the computing time of httpx's own transport
        )
        return cls(url, client, AdaptiveLimit(settings.concurrency), settings.timeout_s, settings.api_key_variable)

    def has_room(self, now: float) -> bool:
        """Whether another request may be sent now."""
        return self.up and self.in_flight < self.limit.value and now >= self.paused_until

    async def ask(self, body: bytes) -> RequestOutcome:
        """Send one chat request (JSON) and wait for what becomes of it."""
        try:
            response = await self.client.post(
                CHAT_PATH, cast_to=httpx2.Response, content=body, options={"headers": JSON_HEADERS, "max_retries": 0}
            )
        except Exception as error:
            return outcome_of(error, self.timeout_s)
        return RequestOutcome("answered", content=response.content)

    async def probe(self, model: str) -> bool:
        """One look at the list of models: is anyone there, and is our model served?

        Raises:
            EndpointError: someone is there who refuses the key, or does not serve the model.
        """
        try:
            page = await self.client.with_options(timeout=min(PROBE_TIMEOUT_S, self.timeout_s), max_retries=0).models.list()
            served = {entry.id: getattr(entry, "owned_by", None) for entry in page.data}
        except openai.APIConnectionError as error:
            self.trouble = str(error.__cause__ or error)
            return False
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise self.misconfigured(model, f"HTTP {error.status_code} {error.message}") from error
            self.trouble = f"HTTP {error.status_code}"
            return error.status_code < 500  # not every server lists its models; one that is just starting answers 5xx
        except Exception:  # someone is there, whatever it answered
            return True
        if served and model not in served:
            raise EndpointError(
                f"{self.url} does not serve {model!r} but {', '.join(list(served)[:5])}: set the recipe's `model` to the served name"
            )
        self.is_vllm = served.get(model) == "vllm"
        return True

    def misconfigured(self, model: str, detail: str) -> EndpointError:
        """The error to raise when no request can succeed here."""
        return EndpointError(
            f"{self.url} answered {detail} for model {model!r}: "
            f"check `model`, `endpoints` (each ends in /v1) and the key in ${self.key_variable}"
        )

    def note(self, outcome: RequestOutcome, asked_at: float) -> None:
        """Learn from what became of a request that was sent at `asked_at` (monotonic)."""
        now = time.monotonic()
        if outcome.meaning in ("answered", "refused"):
            self.limit.succeeded()
        elif outcome.meaning == "overloaded" or outcome.slow:
            self.limit.overloaded(asked_at, now)
        if outcome.retry_after_s is not None and outcome.meaning == "overloaded":
            self.paused_until = max(self.paused_until, now + outcome.retry_after_s)

    def state(self) -> dict[str, Any]:
        """What a log line says of it."""
        return {"endpoint": self.url, "up": self.up, "in_flight": self.in_flight, "limit": self.limit.value}
