"""One caption request: its JSON, what its answer says, and what it means, for the picture and for the endpoint, that there is none."""

import email.utils
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import orjson

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, FailureKind, content_parts, failure
from coemogen_core.captioning.prompt import response_format
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.data.thumbnail import data_url
from coemogen_core.errors import CoEmoGenError

Meaning = Literal["answered", "refused", "failed", "overloaded", "lost", "unreachable", "misconfigured"]
"""answered: there is a completion. refused: the server will not do this one (4xx), ever. failed: worth another try. overloaded: worth
another try, later, and no fault of the request (429, 503). lost: the connection broke before the answer was whole. unreachable: it never
reached a server. misconfigured: no request can succeed (wrong key, no such model or path)."""

MISCONFIGURED = (401, 403, 404)
OVERLOADED = (429, 503)
TRANSIENT = (408, 409, 425)
LONGEST_PAUSE_S = 120.0


class NoCompletionError(CoEmoGenError, ValueError):
    """A 200 whose body is no chat completion; the message says why."""


def request_body(request: CaptionRequest, recipe: CaptionRecipe, *, with_image_id: bool) -> bytes:
    """The request as it goes over the wire: built once, however often it is sent.

    Args:
        with_image_id: give the picture a lasting id (`uuid`, an extension of vLLM), under which its server caches what it computed.

    Raises:
        UnreadableImage: the picture cannot be decoded.
    """
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": data_url(request.image, recipe.max_pixels)}}
    if with_image_id:
        image["uuid"] = f"{request.image_id}-{recipe.max_pixels}"
    body: dict[str, Any] = {
        "model": recipe.model,
        "messages": [{"role": "user", "content": content_parts(request, image)}],
        "max_tokens": recipe.max_new_tokens,
        "temperature": recipe.temperature,
    }
    if not recipe.deterministic:
        body["seed"] = request.seed
    form = response_format(recipe.answer)
    if form is not None:
        body["response_format"] = form
    return orjson.dumps(body)  # fifty times as fast as json, for a string of the size of a picture


def read_completion(image_id: str, content: bytes, seconds: float) -> CaptionAnswer:
    """The answer in a completion. Raises NoCompletionError when the content is no chat completion with exactly one choice."""
    try:
        completion = orjson.loads(content)
    except ValueError as error:
        raise NoCompletionError(f"the answer is not JSON ({error})") from error
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or len(choices) != 1:
        raise NoCompletionError("the answer is not a chat completion with one choice")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise NoCompletionError("the answer's choice has no message")
    text, usage, finish_reason = message.get("content"), completion.get("usage"), choice.get("finish_reason")
    if text is not None and not isinstance(text, str):
        raise NoCompletionError("the answer's content is not text")
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str) and refusal:
        return CaptionAnswer(image_id, error=failure("rejected", f"refusal ({refusal[:60]!r})"), latency_s=seconds)
    return CaptionAnswer(
        image_id,
        text=text or "",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        latency_s=seconds,
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
    )


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**31 else None


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """One request."""

    meaning: Meaning
    content: bytes = b""  # of an answer
    kind: FailureKind = "server"  # of a failure
    detail: str = ""
    retry_after_s: float | None = None
    slow: bool = False  # it timed out


def outcome_of_error(error: Exception, timeout_s: float) -> RequestOutcome:
    """What it means that aiohttp, or the socket below it, got no whole answer in the time that the request was given."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return RequestOutcome("unreachable", detail=f"no connection: {error}")
    if isinstance(error, TimeoutError):  # aiohttp's own are TimeoutErrors as well
        return RequestOutcome("failed", kind="timeout", detail=f"no answer within {timeout_s:g} s", slow=True)
    return RequestOutcome("lost", detail=f"connection lost: {error or type(error).__name__}")


def outcome_of_status(status: int, headers: Mapping[str, str], content: bytes) -> RequestOutcome:
    """What an answer means whose status is not 200; in its body, most servers say why. Names of headers come in any case."""
    detail = f"HTTP {status} {_reason(status, content)}"
    if status in MISCONFIGURED:
        return RequestOutcome("misconfigured", detail=detail)
    if status in OVERLOADED:
        return RequestOutcome("overloaded", detail=detail, retry_after_s=retry_after(headers))
    if status >= 500 or status in TRANSIENT:
        return RequestOutcome("failed", detail=detail, retry_after_s=retry_after(headers))
    return RequestOutcome("refused", kind="refused", detail=detail)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait (`retry-after-ms`, or `Retry-After` in seconds or as a date), 0 to 120; None = it does not say."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif "retry-after" not in headers:
            return None
        elif headers["retry-after"].strip().replace(".", "", 1).isdigit():
            seconds = float(headers["retry-after"])
        else:
            seconds = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE_S)


def _reason(status: int, content: bytes) -> str:
    """The message in an error's body, as OpenAI and vLLM write it, or the body as it is; without one, what the status is called."""
    text = content.decode("utf-8", errors="replace").strip()
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    error = body.get("error", body) if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or text or http.client.responses.get(status, ""))[:300]
