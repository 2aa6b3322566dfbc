"""What became of one chat request, for the picture and for the endpoint.

Chat servers, and the gateways before them, agree on little: an error may come with status 200 or inside a choice, its code may be a number
or a word, a text may be a list of parts, and an answer that was broken off may look like one that is whole.
"""

import email.utils
import http.client
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import orjson

from coemogen_core.captioning.backend import FailureKind

Meaning = Literal["answered", "unusable", "refused", "failed", "overloaded", "lost", "unreachable", "misconfigured"]
"""answered: there is a text. unusable: the model's turn ended in another way. refused: the server will not do this one (4xx). failed: worth
another try. overloaded: worth another try, later, and no fault of the request (429, 503). lost: the connection broke before the answer was
whole. unreachable: it never reached a server. misconfigured: no request can succeed (wrong key, no such model or path, no money left)."""

MISCONFIGURED = (401, 402, 403, 404, 405, 501)
OVERLOADED = (429, 503)
TRANSIENT = (408, 409, 425)
LONGEST_PAUSE_S = 120.0
LENGTHS = ("length", "max_tokens", "max_output_tokens", "model_length")
GOOD_ENDINGS = ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "end_of_turn", "complete", "completed", "done", *LENGTHS)
"""Finish reasons of whole texts, and of texts that reached the asked length, in any case of letters; some servers give none."""
NO_ERROR = (None, "", 0, "0", 200, "200", "success", "ok", "none", "null")
"""What stands as an error, or as the code of one, beside a good completion."""
BROKEN_OFF = ("abort", "aborted", "cancelled", "error", "failed")
FILTERED = (
    "content_filter",
    "content_filtered",
    "safety",
    "image_safety",
    "recitation",
    "blocked",
    "blocklist",
    "prohibited_content",
    "spii",
)
OF_THE_PICTURE = re.compile(r"content.?(?:policy|filter)|flagged|moderation", re.IGNORECASE)
"""In a refusal with 403: this picture is not wanted; the next one may be."""
LONGEST_PAGE = 8192  # bytes of what is no JSON that are read for a reason
CODE = re.compile(r"(?:(?:http|error|status|code)[ :]*)*\b([45]\d\d)\b")
CODES_IN_WORDS = {
    401: re.compile(r"api_?key|authenti|unauthori|permission"),
    402: re.compile(r"quota|billing|payment|credit"),
    404: re.compile(r"model_?not_?found|not_?found"),
    429: re.compile(r"rate_?limit|too_?many|throttl|resource_?exhausted"),
    503: re.compile(r"overload|unavailable|capacity"),
    400: re.compile(r"invalid|bad_?request|context_?length|unsupported|unprocessable|content_policy|too_?(?:large|long)"),
}
"""Words of an error's `code` or `type`, of the first that fits, as the number that they stand for."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """One request."""

    meaning: Meaning
    text: str = ""  # of an answer
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
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


def outcome_of_response(status: int, headers: Mapping[str, str], content: bytes) -> RequestOutcome:
    """What an answer means that came whole. Names of headers come in any case."""
    body = _json(content)
    if status == 200:
        return _outcome_of_completion(headers, content, body)
    detail = f"HTTP {status} {_reason(status, content, body)}"
    if status == 403 and OF_THE_PICTURE.search(detail):
        return RequestOutcome("refused", kind="refused", detail=detail)
    words = _words_of(body.get("error") or body) if isinstance(body, dict) else ""
    return _outcome_of_code(402 if status == 429 and CODES_IN_WORDS[402].search(words) else status, detail, headers)


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


def _outcome_of_code(code: int, detail: str, headers: Mapping[str, str]) -> RequestOutcome:
    if code in MISCONFIGURED:
        return RequestOutcome("misconfigured", detail=detail)
    if code in OVERLOADED:
        return RequestOutcome("overloaded", detail=detail, retry_after_s=retry_after(headers))
    if code >= 500 or code in TRANSIENT or code < 400:
        return RequestOutcome("failed", detail=detail, retry_after_s=retry_after(headers))
    return RequestOutcome("refused", kind="refused", detail=detail)


def _outcome_of_completion(headers: Mapping[str, str], content: bytes, body: Any) -> RequestOutcome:
    """What a 200 means: an error all the same, no completion, or one whose single choice says how it ended."""
    if body is None:
        body = _json(_first_event(content))
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return RequestOutcome("failed", detail=f"HTTP 200, and the answer is not JSON: {_reason(200, content, body)}")
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    within = choice.get("error") if isinstance(choice, dict) else None
    for error in (body.get("error"), within, body if _is_an_error(body) else None):
        if isinstance(error, str) and error.lower() in NO_ERROR:
            continue
        if error and not (isinstance(error, dict) and error.get("code") in NO_ERROR and (choices or not _message_of(error))):
            return _outcome_of_error_in_answer(headers, error)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        said = json.dumps(body)[:200]
        return RequestOutcome("failed", detail=f"HTTP 200, and the answer is not a chat completion with one choice: {said}")
    return _outcome_of_choice(choice, message, body.get("usage"))


def _is_an_error(body: dict[str, Any]) -> bool:
    """Whether an answer without a completion says what went wrong, without calling it an error."""
    if body.get("object") == "error":
        return True
    told = "code" in body or any(body.get(key) for key in _TOLD) or body.get("status") in ("error", "fail", "failed")
    return body.get("choices") is None and (told or body.get("success") is False)


def _first_event(content: bytes) -> bytes:
    """Of a stream that nobody asked for, the first event; of an answer behind comments that keep a connection alive, the answer."""
    lines = [line for line in content.splitlines() if line.strip() and not line.startswith((b":", b"event:", b"id:", b"retry:"))]
    return lines[0].removeprefix(b"data:") if lines and lines[0].startswith(b"data:") else b"\n".join(lines)


def _outcome_of_error_in_answer(headers: Mapping[str, str], error: Any) -> RequestOutcome:
    while isinstance(error, dict) and isinstance(error.get("error"), dict):
        error = error["error"]
    words = _words_of(error)
    number = (re.search if isinstance(error, dict) else re.match)(CODE, words)  # numbers in the middle of prose are none
    code = int(number.group(1)) if number else next((code for code, pattern in CODES_IN_WORDS.items() if pattern.search(words)), 500)
    return _outcome_of_code(code, f"HTTP 200 with error {code}: {_message_of(error)}", headers)


def _outcome_of_choice(choice: dict[str, Any], message: dict[str, Any], usage: Any) -> RequestOutcome:
    ending, text, refusal = choice.get("finish_reason"), _text_of(message.get("content")), message.get("refusal")
    if not isinstance(ending, str | None):
        return RequestOutcome("unusable", kind="malformed", detail=f"finish_reason is {orjson.dumps(ending).decode()[:100]}")
    reason = (ending or "stop").lower().removeprefix("finish_reason_")
    if reason in BROKEN_OFF:
        return RequestOutcome("failed", detail=f"HTTP 200, and the answer was broken off (finish_reason {ending})")
    if reason in FILTERED:
        return RequestOutcome("unusable", kind="refused", detail=f"filtered by the server (finish_reason {ending})")
    refusal = refusal or _refusal_in(message.get("content"))
    if not text and isinstance(refusal, str) and refusal:
        return RequestOutcome("unusable", kind="rejected", detail=f"refusal ({refusal[:60]!r})")
    if reason not in GOOD_ENDINGS:
        return RequestOutcome("unusable", kind="malformed", detail=f"ended with finish_reason {ending[:60] if ending else ending}")
    if text is None:
        return RequestOutcome("failed", detail="HTTP 200, and the answer's content is not text")
    if not text.strip() and (thought := message.get("reasoning_content") or message.get("reasoning")):
        return RequestOutcome("unusable", kind="malformed", detail=f"nothing but reasoning ({str(thought)[:60]!r})")
    tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    return RequestOutcome("answered", text, *tokens, "length" if reason in LENGTHS else ending)


def _text_of(content: Any) -> str | None:
    """The text of a message's content: a string, none, or a list of parts, of which those with text count. None = it is something else."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return None
    parts = [each if isinstance(each, str) else each.get("text") if _is_for_the_reader(each) else None for each in content]
    parts = [part.get("value") if isinstance(part, dict) else part for part in parts]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts or not content else None


def _refusal_in(content: Any) -> Any:
    """The words of a part of the content that is a refusal."""
    parts = content if isinstance(content, list) else ()
    return next((part.get("refusal") for part in parts if isinstance(part, dict) and part.get("type") == "refusal"), None)


def _is_for_the_reader(part: Any) -> bool:
    """Whether a part of a content is no thought, no picture and no tool's."""
    return isinstance(part, dict) and part.get("type", "text") in ("text", "output_text")


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**31 else None


def _json(content: bytes) -> Any:
    """The value; None for what is no JSON. Some servers write a byte order mark, NaN, or half of a character."""
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        return json.loads(json.dumps(json.loads(content.removeprefix(b"\xef\xbb\xbf")), ensure_ascii=False).encode("utf-8", "ignore"))
    except (ValueError, RecursionError):
        return None


def _reason(status: int, content: bytes, body: Any) -> str:
    """The message in an error's body, as servers and gateways write it, or the body as it is; without one, what the status is called."""
    if isinstance(body, dict | list | str):
        said = _message_of((body.get("error") or body) if isinstance(body, dict) else body)
    else:
        page = content[:LONGEST_PAGE].decode("utf-8", errors="replace")
        said = " ".join(re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL).split())
    return (said or http.client.responses.get(status, ""))[:300]


_TOLD = ("message", "detail", "msg", "error", "errors", "description")
"""Where servers put the words of an error."""


def _message_of(error: Any) -> str:
    """What an error says: its message, FastAPI's `detail`, a text, or all of it."""
    if isinstance(error, list):
        return "; ".join(_message_of(each) for each in error)
    if not isinstance(error, dict):
        return "" if error is None else str(error)
    said = next((error[key] for key in _TOLD if error.get(key)), None)
    raw = error["metadata"].get("raw") if isinstance(error.get("metadata"), dict) else None  # a gateway's: what the server behind it said
    text = orjson.dumps(error).decode() if said is None and error else _message_of(said)
    return f"{text} ({raw})" if raw else text


def _words_of(error: Any) -> str:
    """Its code, status and type, in lower case; of an error that is a text, the text."""
    if not isinstance(error, dict):
        return str(error).lower()
    return " ".join(str(error[key]) for key in ("code", "status", "status_code", "type") if error.get(key) is not None).lower()
