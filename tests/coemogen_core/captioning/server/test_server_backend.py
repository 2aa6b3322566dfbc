import hashlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from werkzeug import Response

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, Chunk, EndpointError, EndpointUnreachableError
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.captioning.server.backend import ServerBackend
from tests.coemogen_core.captioning.corpus import jpeg
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer, caption_of, completion, refusal

RECIPE = CaptionRecipe(model=MODEL)
SOON = {"retry-after-ms": "20"}


def requests(count: int, first: int = 0) -> list[CaptionRequest]:
    pictures = [jpeg(index) for index in range(first, first + count)]
    return [CaptionRequest(hashlib.sha256(data).hexdigest(), data, "", "This image evokes awe.", seed=7) for data in pictures]


def ask(stub: StubServer, chunks: list[list[CaptionRequest]], recipe: CaptionRecipe = RECIPE, **settings) -> list[list[CaptionAnswer]]:
    """Answers by chunk, in the order of the chunks."""
    seen: list[CaptionAnswer] = []
    backend = ServerBackend(recipe, ServerSettings(endpoints=(stub.endpoint,), **settings))
    done = {chunk.sequence: answers for chunk, answers in backend.answer(numbered(chunks), seen.extend)}
    assert sorted(seen, key=str) == sorted((answer for answers in done.values() for answer in answers), key=str)
    return [done[sequence] for sequence in sorted(done)]


def numbered(chunks: Iterable[list[CaptionRequest]]) -> Iterator[Chunk]:
    return (Chunk(sequence, requests) for sequence, requests in enumerate(chunks))


def test_answers_come_back_chunk_by_chunk_in_order_whatever_the_order_of_the_server(stub):
    chunks = [requests(7), requests(5, 7), requests(1, 12)]
    stub.misbehave = lambda image_id, number: time.sleep(int(image_id[:2], 16) / 5000)
    answers = ask(stub, chunks, concurrency=4)
    assert [[answer.image_id for answer in chunk] for chunk in answers] == [[request.image_id for request in chunk] for chunk in chunks]
    assert all(answer.text == caption_of(answer.image_id, "evokes awe.") for chunk in answers for answer in chunk)
    first = answers[0][0]
    assert (first.error, first.prompt_tokens, first.completion_tokens, first.finish_reason) == (None, 100, 12, "stop")
    assert first.latency_s > 0


def test_as_many_requests_are_in_flight_as_allowed_and_no_more(stub):
    six = threading.Barrier(6)

    def wait_for_the_others(image_id: str, number: int) -> None:
        six.wait(600)

    stub.misbehave = wait_for_the_others
    ask(stub, [requests(10), requests(10, 10), requests(10, 20)], concurrency=6)
    assert stub.most_at_once == 6


def test_chunks_are_read_only_as_far_as_they_are_needed():
    read = []

    def chunks():
        for index in range(50):
            read.append(index)
            yield requests(2, 2 * index)

    with StubServer() as own:  # what is cancelled on the way would still arrive at a shared one
        stream = ServerBackend(RECIPE, ServerSettings(endpoints=(own.endpoint,), concurrency=2)).answer(numbered(chunks()), lambda _: None)
        next(stream)
        assert len(read) <= 4
        stream.close()
        assert len(read) <= 4


def test_the_request_is_the_recipe(stub):
    ask(stub, [requests(1)], RECIPE.model_copy(update={"max_new_tokens": 17}))
    ask(stub, [requests(1)], RECIPE.model_copy(update={"temperature": 0.5}))
    greedy, sampled = stub.bodies
    assert (greedy["model"], greedy["max_tokens"], greedy["temperature"]) == (MODEL, 17, 0.0)
    assert "seed" not in greedy
    assert (sampled["temperature"], sampled["seed"]) == (0.5, 7)
    assert [part["type"] for part in greedy["messages"][0]["content"]] == ["image_url", "text"]


def test_a_picture_may_stand_between_the_fixed_text_and_the_emotion(stub):
    request = requests(1)[0]
    between = CaptionRequest(request.image_id, request.image, "Describe.", "This image evokes awe.", 0)
    ask(stub, [[between]])
    assert [part["type"] for part in stub.bodies[0]["messages"][0]["content"]] == ["text", "image_url", "text"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again(stub, status):
    stub.misbehave = lambda image_id, number: refusal(status, "later", SOON) if number <= 2 else None
    answers = ask(stub, [requests(3)], max_retries=3)[0]
    assert all(answer.error is None for answer in answers)
    assert set(stub.requests.values()) == {3}


def test_a_server_that_stays_broken_is_a_failure_of_that_picture_alone(stub):
    sick = requests(3)[1].image_id
    stub.misbehave = lambda image_id, number: refusal(500, "out of memory", SOON) if image_id == sick else None
    answers = ask(stub, [requests(3)], max_retries=2)[0]
    assert [answer.error for answer in answers] == [None, "server: HTTP 500 out of memory", None]
    assert stub.requests[sick] == 3


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_refused_for_its_own_sake_is_not_repeated(stub, status):
    bad = requests(3)[2].image_id
    stub.misbehave = lambda image_id, number: refusal(status, "picture too large") if image_id == bad else None
    answers = ask(stub, [requests(3)])[0]
    assert [answer.error for answer in answers] == [None, None, f"refused: HTTP {status} picture too large"]
    assert stub.requests[bad] == 1


def test_a_hanging_server_is_left_after_the_timeout(stub):
    slow, left = requests(2)[0].image_id, threading.Event()

    def hang(image_id: str, number: int) -> None:
        if image_id == slow:
            left.wait(600)

    stub.misbehave = hang
    answers = ask(stub, [requests(2)], timeout_s=3.0, max_retries=0)[0]  # the other answer has so long too, on a busy machine
    left.set()
    assert answers[0].error == "timeout: no answer within 3 s"
    assert answers[1].error is None


@pytest.mark.parametrize(
    "garbage",
    [
        Response("{not json", 200, content_type="application/json"),
        Response("<html>busy</html>", 200, content_type="text/html"),
        Response("[]", 200, content_type="application/json"),
        Response('{"choices": []}', 200, content_type="application/json"),
        Response('{"choices": [{"message": {"content": 5}}]}', 200, content_type="application/json"),
        Response("", 200, content_type="application/json"),
    ],
)
def test_an_answer_that_is_no_chat_completion_is_a_failure_of_that_picture_alone(stub, garbage):
    odd = requests(2)[0].image_id
    stub.misbehave = lambda image_id, number: garbage if image_id == odd else None
    answers = ask(stub, [requests(2)], max_retries=0)[0]
    assert answers[0].text is None
    assert answers[0].error.startswith("server: HTTP 200, and the answer")
    assert answers[1].error is None


def test_answers_that_cannot_be_kept_end_the_run(stub):
    def full(answers: list[CaptionAnswer]) -> None:
        raise OSError(28, "No space left on device")

    backend = ServerBackend(RECIPE, ServerSettings(endpoints=(stub.endpoint,), concurrency=2))
    with pytest.raises(OSError, match="No space left"):
        list(backend.answer(numbered([requests(20)]), full))


def test_an_empty_answer_is_an_empty_text(stub):
    stub.misbehave = lambda image_id, number: completion(None)
    assert ask(stub, [requests(1)])[0][0].text == ""


def test_bytes_that_are_no_picture_are_not_sent(stub):
    broken = CaptionRequest("0" * 64, b"no picture", "", "Describe.", 0)
    answers = ask(stub, [[broken, *requests(1)]])[0]
    assert answers[0].error.startswith("unreadable image: not an image")
    assert answers[1].error is None
    assert sum(stub.requests.values()) == 1


def test_a_connection_cut_in_mid_answer_is_tried_again(stub):
    def cut(image_id: str, number: int) -> Response | None:
        return Response(iter([b'{"choices"']), 200, {"Content-Length": "5000"}, content_type="application/json") if number == 1 else None

    stub.misbehave = cut
    answers = ask(stub, [requests(1)], max_retries=1)[0]
    assert answers[0].error is None
    assert set(stub.requests.values()) == {2}


def test_an_endpoint_where_nobody_answers_is_named_with_the_remedy():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        backend = ServerBackend(RECIPE, ServerSettings(endpoints=(endpoint,), patience_s=0.5))
        with pytest.raises(EndpointUnreachableError, match=rf"no captioner answers at {endpoint} .*`vllm serve {MODEL}"):
            list(backend.answer(numbered([requests(1)]), lambda _: None))


def test_an_endpoint_that_goes_away_keeps_the_chunks_before():
    with StubServer() as dying:
        settings = ServerSettings(endpoints=(dying.endpoint,), concurrency=1, max_retries=0, patience_s=0.3)
        cut_off = requests(10)[7].image_id

        def die(image_id: str, number: int) -> Response | None:
            if image_id != cut_off:
                return None
            dying.stop()
            return Response(iter([b"{"]), 200, {"Content-Length": "5000"}, content_type="application/json")

        dying.misbehave = die
        stream = ServerBackend(RECIPE, settings).answer(numbered([requests(5), requests(5, 5)]), lambda _: None)
        assert len(next(stream)[1]) == 5
        with pytest.raises(EndpointUnreachableError, match="what was captioned before is kept"):
            next(stream)


def test_a_model_that_is_not_served_is_an_error_of_the_run_and_not_of_the_pictures(stub):
    with pytest.raises(EndpointError, match=rf"does not serve 'other' but {MODEL}: set the recipe's `model`"):
        ask(stub, [requests(1)], CaptionRecipe(model="other"))
    stub.misbehave = lambda image_id, number: refusal(401, "wrong key")
    with pytest.raises(EndpointError, match=r"HTTP 401 .*wrong key.*\$OPENAI_API_KEY"):
        ask(stub, [requests(1)])


def test_asked_at_is_when_the_request_was_sent_that_was_answered(stub):
    arrived = []

    def turn_away_once(_image_id: str, number: int) -> Response | None:
        arrived.append(time.time())
        time.sleep(0.05)
        return refusal(503, "later", SOON) if number == 1 else None

    stub.misbehave = turn_away_once
    answer = ask(stub, [requests(1)])[0][0]
    assert arrived[0] < answer.asked_at <= arrived[1]
