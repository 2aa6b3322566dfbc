import email.utils
import time

import aiohttp
import pytest
from multidict import CIMultiDict

from coemogen_core.captioning.server.outcome import LONGEST_PAUSE_S, outcome_of_error, outcome_of_response, retry_after


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (400, "refused"),
        (413, "refused"),
        (422, "refused"),
        (401, "misconfigured"),
        (403, "misconfigured"),
        (404, "misconfigured"),
        (429, "overloaded"),
        (503, "overloaded"),
        (500, "failed"),
        (502, "failed"),
        (504, "failed"),
        (408, "failed"),
        (409, "failed"),
    ],
)
def test_what_a_status_means(status, meaning):
    outcome = outcome_of_response(status, {}, b'{"error": {"message": "why"}}')
    assert outcome.meaning == meaning
    assert outcome.detail == f"HTTP {status} why"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "too long", "type": "x"}}', "too long"),  # OpenAI, vLLM
        (b'{"error": "no such route"}', "no such route"),
        (b'{"message": "too long", "code": 400}', "too long"),  # older vLLM
        (b'{"detail": "Not Found"}', "Not Found"),  # FastAPI
        (b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "field required"),
        (b"<html><title>413</title><body>nginx</body></html>", "413 nginx"),
        (b"", "Bad Request"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 4000, "x" * 300),
    ],
)
def test_the_reason_is_what_the_server_said(body, reason):
    assert outcome_of_response(400, {}, body).detail == f"HTTP 400 {reason}"


def test_what_a_broken_connection_means():
    assert outcome_of_error(aiohttp.ServerDisconnectedError(), 5).meaning == "lost"
    assert outcome_of_error(ConnectionResetError(104, "reset"), 5).meaning == "lost"
    assert outcome_of_error(aiohttp.ClientPayloadError("half"), 5).meaning == "lost"
    assert outcome_of_error(aiohttp.ConnectionTimeoutError(), 5).meaning == "unreachable"
    late = outcome_of_error(TimeoutError(), 5)
    assert (late.meaning, late.kind, late.slow, late.detail) == ("failed", "timeout", True, "no answer within 5 s")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "86400"}, LONGEST_PAUSE_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, seconds):
    assert retry_after(CIMultiDict(headers)) == seconds


def test_a_date_counts_from_now():
    asked = retry_after({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert asked is not None
    assert 20 < asked <= 30
