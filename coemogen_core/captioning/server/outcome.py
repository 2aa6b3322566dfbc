"""What became of one HTTP request, and what that means: for the picture, and for the endpoint."""

import email.utils
import time
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import openai

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


def outcome_of(error: Exception, timeout_s: float) -> RequestOutcome:
    """What an exception of the openai client means. Exceptions that are no answer of a server are raised again."""
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        return _of_transport(_root(error), timeout_s)
    raise error


def _root(error: BaseException) -> BaseException:
    """The transport's own exception. What is raised from it on the way up calls a server that hung up a timeout."""
    while error.__cause__ is not None and not isinstance(error, aiohttp.ClientError):
        error = error.__cause__
    return error


def _of_transport(error: BaseException, timeout_s: float) -> RequestOutcome:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return RequestOutcome("unreachable", detail=f"no connection: {error}")
    if isinstance(error, TimeoutError | openai.APITimeoutError):  # aiohttp's own are TimeoutErrors as well
        return RequestOutcome("failed", kind="timeout", detail=f"no answer within {timeout_s:g} s", slow=True)
    return RequestOutcome("lost", detail=f"connection lost: {error or type(error).__name__}")


def _of_status(error: openai.APIStatusError) -> RequestOutcome:
    status, reason = error.status_code, _reason(error)
    detail = f"HTTP {status} {reason}"
    if status in MISCONFIGURED:
        return RequestOutcome("misconfigured", detail=detail)
    if status in OVERLOADED:
        return RequestOutcome("overloaded", detail=detail, retry_after_s=retry_after(error.response.headers))
    if status >= 500 or status in TRANSIENT:
        return RequestOutcome("failed", detail=detail, retry_after_s=retry_after(error.response.headers))
    return RequestOutcome("refused", kind="refused", detail=detail)


def retry_after(headers: Any) -> float | None:
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


def _reason(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error.response.text or error.response.reason_phrase)[:300]
