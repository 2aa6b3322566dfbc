"""A night's work before a server that does everything at once: what is stored is clean, what failed says why, nobody is asked too often."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable

import polars as pl
import pytest
from werkzeug import Response

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer, caption_of, refusal
from tests.reports.server_answers import DRESSED, NO_CAPTION, SAME_FOR_EVERYBODY, WORDS, error_in_200

PICTURES = 1_000
RECIPE = CaptionRecipe(model=MODEL)
RETRIES = 1

FAILURES: dict[str, tuple[Callable[[], Response], str]] = {
    **{name: ((lambda response=response: response), error) for name, (response, error) in NO_CAPTION.items()},
    **{name: ((lambda name=name: SAME_FOR_EVERYBODY[name]), f"refused: HTTP 4.*{WORDS[name]}") for name in SAME_FOR_EVERYBODY},
    "HTTP 429": (lambda: refusal(429, "Rate limit reached", {"Retry-After": "0"}), "server: HTTP 429 Rate limit reached"),
    "HTTP 503": (lambda: Response("<h1>upstream is full</h1>", 503), "server: HTTP 503 upstream is full"),
    "HTTP 500": (lambda: refusal(500, "EngineDeadError"), "server: HTTP 500 EngineDeadError"),
    "HTTP 502": (lambda: Response("<html><title>502 Bad Gateway</title></html>", 502), "server: HTTP 502 502 Bad Gateway"),
    "half an answer": (
        lambda: Response('{"choices": [{"message": {"content": "A dog', 200),
        'server: HTTP 200, and the answer is not JSON: .*"content": "A dog',
    ),
    "no JSON": (lambda: Response("OK", 200), "server: HTTP 200, and the answer is not JSON: OK"),
}
"""Answers, and what a failure that was caused by them says."""
TURNED_AWAY = ("HTTP 429", "HTTP 503", "an error of 429")
FAILED = (
    "aborted",
    "error",
    "a picture",
    "an error in words",
    "an error that is a text",
    "OpenRouter's",
    "a number in prose",
    "a stream",
    "a login page",
    "an event",
    "FastAPI's detail",
    "a message alone",
    "Cloudflare's errors",
    "two answers",
    "HTTP 500",
    "HTTP 502",
    "no JSON",
    "half an answer",
)


class Mixture:
    """Answers at random, by picture and number of the request, and remembers what it gave."""

    def __init__(self, seed: int, fatal: Response | None = None) -> None:
        self.seed = seed
        self.given: dict[str, list[str]] = defaultdict(list)
        self.fatal = fatal
        self.emotions: dict[str, str] = {}

    def __call__(self, image_id: str, number: int) -> Response | None:
        rng = random.Random(f"{self.seed} {image_id} {number}")
        sentence = caption_of(image_id, self.emotions[image_id])
        if self.fatal is not None and rng.random() < 0.005:
            return self.fatal
        if rng.random() < 0.5:
            return DRESSED[rng.choice(sorted(DRESSED))](sentence)
        name = rng.choice(sorted(FAILURES))
        self.given[image_id].append(name)
        return FAILURES[name][0]()


@pytest.fixture
def wanted(workspace, monkeypatch):
    monkeypatch.setattr("coemogen_core.captioning.server.client.FIRST_BACKOFF_S", 1e-3)
    return write_images(workspace, [jpeg(index, (16, 16)) for index in range(PICTURES)])


def attempts(workspace) -> pl.DataFrame:
    return read_attempts(workspace, SOURCE, PART, RECIPE.recipe_id("server"))


def assert_clean(rows: pl.DataFrame) -> None:
    """Every caption is the sentence itself."""
    captioned = rows.drop_nulls("caption")
    assert captioned["image_id"].is_unique().all()
    for image_id, emotion, caption in captioned.select("image_id", "emotion_prior", "caption").iter_rows():
        assert caption == caption_of(image_id, emotion)


def assert_within_the_policy(names: list[str]) -> None:
    """Of one picture in one run: what it was answered that is no caption."""
    counts = Counter("turned away" if name in TURNED_AWAY else "failed" if name in FAILED else "final" for name in names)
    assert counts["final"] <= 1, names
    assert counts["failed"] <= RETRIES + 1, names
    assert counts["turned away"] <= 10 * (RETRIES + 1) + 1, names


@pytest.mark.slow
def test_a_mixture_of_all_troubles(workspace, stub, wanted):
    settings = ServerSettings(endpoints=(stub.endpoint,), max_retries=RETRIES, concurrency=32, max_attempts=20)
    emotions = dict(wanted.select("image_id", "emotion").iter_rows())

    # A key that expires in the middle stops the run, in the server's words.
    with StubServer() as other:  # one of its own: what was on its way when the run ended may reach it late
        other.misbehave = mixture = Mixture(0, fatal=error_in_200({"message": "this key has expired", "code": 401}))
        mixture.emotions = emotions
        with pytest.raises(EndpointError, match="this key has expired"):
            caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings.model_copy(update={"endpoints": (other.endpoint,)}))
    assert not attempts(workspace)["error"].drop_nulls().str.contains("expired").any()

    for run in (1, 2):
        before = {name for name, rows in attempts(workspace).group_by("image_id") if rows["caption"].count()}
        stub.requests.clear()
        stub.misbehave = mixture = Mixture(run)
        mixture.emotions = emotions
        outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings)
        rows = attempts(workspace)
        assert_clean(rows)
        assert PICTURES // 2 < outcome.rows < PICTURES
        assert not set(stub.requests) & {image_id for (image_id,) in before}, "what has a caption is not asked for again"
        last = rows.sort("attempt").unique("image_id", keep="last")
        for image_id, error in last.drop_nulls("error").select("image_id", "error").iter_rows():
            name = mixture.given[image_id][-1]
            assert re.match(FAILURES[name][1], error), (name, error)
        for names in mixture.given.values():
            assert_within_the_policy(names)

    left = PICTURES - outcome.rows
    stub.reset()
    mended = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings)
    assert (mended.rows, mended.dropped) == (PICTURES, 0)
    assert (len(stub.requests), set(stub.requests.values())) == (left, {1})
    assert_clean(attempts(workspace))
