"""Against a real HTTP server that speaks the chat API."""

import json
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.prompt_writing import PromptWriter, parse_lines, write_prompts
from coemogen_core.methods.prompted import read_prompt_file
from tests.coemogen_core.captioning.stub_server import StubServer, completion, refusal


class Writer:
    """Writes two lines for every emotion, one of them new with every seed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    def answer(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        self.asked.append(body["messages"][0]["content"])
        if self.refuses:
            return refusal(400, "no such model")
        return completion(f"1. a dog in a park\n2) “a cat, number {body['seed']}”\n")


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def endpoint(writer: Writer) -> Iterator[str]:
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(writer.answer)
        yield server.url_for("/v1")


def test_every_emotion_is_asked_once_and_the_file_is_the_cache(endpoint, writer, tmp_path):
    file = tmp_path / "prompts.toml"
    settings = PromptWriter(endpoint=endpoint, model="m", count=2)
    found = write_prompts(settings, file)
    assert found.prompts["awe"] == ("a dog in a park", "a cat, number 0")
    assert [text.count(emotion) for text, emotion in zip(writer.asked, EMOTIONS, strict=True)] == [1] * 8
    assert read_prompt_file(str(file)) == found
    assert write_prompts(settings, file) == found
    assert len(writer.asked) == 8
    with pytest.raises(ValueError, match=r"holds prompts by 'm', asked .*give another file"):
        write_prompts(settings.model_copy(update={"model": "n"}), file)


def test_too_few_prompts_are_asked_for_again_and_then_given_up(endpoint, writer, tmp_path):
    found = write_prompts(PromptWriter(endpoint=endpoint, model="m", count=3), tmp_path / "three.toml")
    assert found.prompts["fear"] == ("a dog in a park", "a cat, number 0", "a cat, number 1")
    with pytest.raises(ValueError, match="wrote 4 different prompts for amusement in 3 answers, 9 were asked for"):
        write_prompts(PromptWriter(endpoint=endpoint, model="m", count=9), tmp_path / "nine.toml")
    assert not (tmp_path / "nine.toml").exists()


def test_a_server_that_refuses_is_named(endpoint, writer, tmp_path):
    writer.refuses = True
    with pytest.raises(ConnectionError, match=r"wrote no prompts for amusement: .*no such model.*check endpoint, model and the key in "):
        write_prompts(PromptWriter(endpoint=endpoint, model="m"), tmp_path / "none.toml")


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    """A server with a key; no variable holds one."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with StubServer() as server:
        server.key = "The-Key"
        yield server


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "WRITER_KEY"])
def test_the_key_arrives_with_every_request_and_when_it_is_repeated(locked, monkeypatch, tmp_path, variable):
    monkeypatch.setenv(variable, "The-Key\n")
    locked.misbehave = lambda _, number: refusal(500, "later", {"retry-after-ms": "20"}) if number == 1 else None
    settings = PromptWriter(endpoint=locked.endpoint, model="m", count=2, api_key_variable=variable)
    assert write_prompts(settings, tmp_path / "prompts.toml").prompts["awe"] == ("a dog in a park", "a cat, number 0")
    assert [request.headers.get("Authorization") for request in locked.arrived] == ["Bearer The-Key"] * 9


@pytest.mark.parametrize(("key", "found"), [("another", "the key in $WRITER_KEY"), (None, "the key in $WRITER_KEY (which is not set)")])
def test_a_wrong_key_or_none_is_told_in_one_line(locked, monkeypatch, tmp_path, key, found):
    if key is not None:
        monkeypatch.setenv("WRITER_KEY", key)
    with pytest.raises(ConnectionError) as raised:
        write_prompts(PromptWriter(endpoint=locked.endpoint, model="m", api_key_variable="WRITER_KEY"), tmp_path / "none.toml")
    message = str(raised.value)
    assert message.startswith(f"{locked.endpoint} wrote no prompts for amusement: HTTP 401 ")
    assert message.endswith(f"; check endpoint, model and {found}")
    assert "\n" not in message


def test_a_server_without_a_key_needs_no_variable(locked, tmp_path):
    locked.key = None
    assert write_prompts(PromptWriter(endpoint=locked.endpoint, model="m", count=2), tmp_path / "prompts.toml").prompts["awe"]


def test_lines_lose_what_is_no_prompt():
    answer = "- a dog\n* a dog\n\n  3. 'a cat'\n4: two cats, 3 dogs\n"
    assert parse_lines(answer) == ["a dog", "a cat", "two cats, 3 dogs"]


def test_the_slot_is_taken_to_ask_alone(endpoint, tmp_path, slot):
    for _ in range(2):
        write_prompts(PromptWriter(endpoint=endpoint, model="m", count=2), tmp_path / "prompts.toml", slot=slot)
        assert slot.entered == 1
