import email.utils
import time

import httpx2
import openai
import pytest

from coemogen_core.captioning.server.outcome import LONGEST_PAUSE_S, outcome_of, retry_after


def status_error(status: int, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    response = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://127.0.0.1/v1"))
    return openai.APIStatusError("told", response=response, body={"message": "why"})


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
    outcome = outcome_of(status_error(status), 5)
    assert outcome.meaning == meaning
    assert outcome.detail == f"HTTP {status} why"


def test_what_is_no_answer_of_a_server_is_raised():
    with pytest.raises(KeyError):
        outcome_of(KeyError("bug"), 5)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "86400"}, LONGEST_PAUSE_S),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, seconds):
    assert retry_after(httpx2.Headers(headers)) == seconds


def test_a_date_counts_from_now():
    asked = retry_after(httpx2.Headers({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)}))
    assert asked is not None
    assert 20 < asked <= 30
