"""What became of one HTTP request, and what that means: for the picture, and for the endpoint."""

import email.utils
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp

from coemogen_core.captioning.failure import FailureKind

Meaning = Literal["answered", "refused", "failed", "overloaded", "lost", "unreachable", "misconfigured"]
"""answered: there is a completion. refused: the server will not do this one (4xx), ever. failed: worth another try. overloaded: worth
another try, later, and no fault of the request (429, 503). lost: the connection broke before the answer was whole. unreachable: it never
reached a server. misconfigured: no request can succeed (wrong key, no such model or path)."""

MISCONFIGURED = (401, 403, 404)
OVERLOADED = (429, 503)
TRANSIENT = (408, 409, 425)
LONGEST_PAUSE_S = 120.0


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
    """What it means that there was no whole answer.

    Args:
        error: an exception of aiohttp, or of the socket below it.
        timeout_s: how long the request was given, for the message.
    """
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return RequestOutcome("unreachable", detail=f"no connection: {error}")
    if isinstance(error, TimeoutError):  # aiohttp's own are TimeoutErrors as well
        return RequestOutcome("failed", kind="timeout", detail=f"no answer within {timeout_s:g} s", slow=True)
    return RequestOutcome("lost", detail=f"connection lost: {error or type(error).__name__}")


def outcome_of_status(status: int, headers: Mapping[str, str], content: bytes) -> RequestOutcome:
    """What an answer means whose status is not 200.

    Args:
        status: of the answer.
        headers: of the answer; names in any case.
        content: its body, in which most servers say why.
    """
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
