"""The key of a captioning server, as it arrives there."""

import asyncio
import hashlib

import openai
import pytest
from werkzeug import Response

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, Chunk, EndpointError
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.api_key import read_key
from coemogen_core.captioning.server.backend import ServerBackend
from tests.coemogen_core.captioning.corpus import jpeg
from tests.coemogen_core.captioning.stub_server import MODEL, Arrived, StubServer, refusal

KEY = "the-Key-of-the-server"
VARIABLE = "OPENAI_API_KEY"
MODELS, CHAT = "/v1/models", "/v1/chat/completions"
OF_A_CONNECTION = {"Accept-Encoding", "Connection", "Content-Length", "Host"}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def locked(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> StubServer:
    """A server with a key, which we have."""
    stub.key = KEY
    monkeypatch.setenv(VARIABLE, KEY)
    return stub


def ask(*endpoints: str, count: int = 3, **settings) -> list[CaptionAnswer]:
    pictures = [jpeg(index) for index in range(count)]
    requests = [CaptionRequest(hashlib.sha256(data).hexdigest(), data, "", "This image evokes awe.", seed=7) for data in pictures]
    backend = ServerBackend(CaptionRecipe(model=MODEL), ServerSettings(endpoints=endpoints, **settings))
    return [answer for _, answers in backend.answer(iter([Chunk(0, requests)]), lambda _: None) for answer in answers]


def keys(server: StubServer, path: str) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.arrived if request.path == path]


def test_it_arrives_with_the_look_at_the_models_and_with_every_picture(locked):
    assert [answer.error for answer in ask(locked.endpoint)] == [None] * 3
    assert keys(locked, MODELS) == [f"Bearer {KEY}"]
    assert keys(locked, CHAT) == [f"Bearer {KEY}"] * 3


def test_it_arrives_again_when_a_request_is_repeated(locked):
    def fail_thrice(image_id: str, number: int) -> Response | None:
        if number == 3:
            return Response(iter([b'{"choices"']), 200, {"Content-Length": "5000"}, content_type="application/json")
        return refusal(500 if number == 1 else 429, "later", {"retry-after-ms": "20"}) if number < 3 else None

    locked.misbehave = fail_thrice
    assert [answer.error for answer in ask(locked.endpoint, count=2, max_retries=5)] == [None] * 2
    assert keys(locked, CHAT) == [f"Bearer {KEY}"] * 8
    assert set(keys(locked, MODELS)) == {f"Bearer {KEY}"}


def test_it_arrives_at_every_endpoint(locked):
    with StubServer(delay_s=0.05) as other:
        other.key = KEY
        assert [answer.error for answer in ask(locked.endpoint, other.endpoint, count=6)] == [None] * 6
        for server in (locked, other):
            assert keys(server, MODELS) == [f"Bearer {KEY}"]
            assert set(keys(server, CHAT)) == {f"Bearer {KEY}"}


def test_it_may_stand_in_another_variable_and_end_with_a_line_end(stub, monkeypatch):
    stub.key = KEY
    monkeypatch.setenv("CAPTIONER_KEY", f"{KEY}\n")
    assert ask(stub.endpoint, api_key_variable="CAPTIONER_KEY")[0].error is None


def test_a_server_without_a_key_needs_no_variable(stub):
    assert [answer.error for answer in ask(stub.endpoint)] == [None] * 3


@pytest.mark.parametrize(
    ("key", "found"), [("another", "the key in $OPENAI_API_KEY"), (None, "the key in $OPENAI_API_KEY (which is not set)")]
)
@pytest.mark.parametrize("models_need_it", [True, False])
def test_a_wrong_key_or_none_is_told_in_one_line(stub, monkeypatch, key, found, models_need_it):
    if key is not None:
        monkeypatch.setenv(VARIABLE, key)
    if models_need_it:
        stub.key = KEY
    else:
        stub.misbehave = lambda image_id, number: Response('{"error": "Unauthorized\\n"}', 401, content_type="application/json")
    with pytest.raises(EndpointError) as raised:
        ask(stub.endpoint)
    assert str(raised.value) == (
        f"{stub.endpoint} answered HTTP 401 Unauthorized for model '{MODEL}': check `model`, `endpoints` (each ends in /v1) and {found}"
    )


def test_a_key_that_cannot_be_sent_is_told_without_showing_it(stub, monkeypatch):
    monkeypatch.setenv(VARIABLE, "sécret\nkey")
    with pytest.raises(ValueError, match=r"^the key in \$OPENAI_API_KEY has characters that no HTTP header can carry") as raised:
        ask(stub.endpoint)
    assert "cret" not in str(raised.value)
    assert not stub.arrived


@pytest.mark.parametrize(
    ("variables", "user", "authorization"),
    [
        ({}, "", "Bearer none"),
        ({VARIABLE: KEY}, "", f"Bearer {KEY}"),
        ({VARIABLE: KEY, "OPENAI_ORG_ID": "ours", "OPENAI_PROJECT_ID": "art"}, "", f"Bearer {KEY}"),
        ({VARIABLE: KEY, "OPENAI_CUSTOM_HEADERS": "authorization: Token of a proxy\nX-Team: art"}, "", "Token of a proxy"),
        ({VARIABLE: KEY}, "user:word@", "Basic dXNlcjp3b3Jk"),
        ({VARIABLE: KEY, "OPENAI_CUSTOM_HEADERS": "Authorization: Token of a proxy"}, "user:word@", "Basic dXNlcjp3b3Jk"),
    ],
    ids=["no key", "key", "organisation", "header of the user", "user in the address", "user in the address, header of the user"],
)
def test_a_picture_arrives_with_the_headers_of_the_openai_client(stub, monkeypatch, variables, user, authorization):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    endpoint = stub.endpoint.replace("//", f"//{user}")
    assert ask(endpoint, count=1)[0].error is None
    asyncio.run(ask_by_the_client(endpoint))
    models, ours, theirs = stub.arrived
    assert theirs.headers["Authorization"] == authorization
    assert shown(ours) == shown(theirs) == shown(models) | {"Content-Type": "application/json"}


async def ask_by_the_client(endpoint: str) -> None:
    async with openai.AsyncOpenAI(base_url=endpoint, api_key=read_key(VARIABLE), max_retries=0) as client:
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Write."}], seed=1)


def shown(request: Arrived) -> dict[str, str]:
    """Headers that say who asks for what."""
    return {
        name: value
        for name, value in request.headers.items()
        if name not in OF_A_CONNECTION and not name.lower().startswith("x-stainless-")
    }
