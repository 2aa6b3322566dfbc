import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from werkzeug import Response

from coemogen_core.captioning import caption_part as caption_part_module
from coemogen_core.captioning.attempts import chunk_names
from coemogen_core.captioning.backend import CaptionAnswer, EndpointUnreachableError
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.journal import Journal, journal_path
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings, ServerSettings
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions
from tests.coemogen_core.captioning.client_process import start_captioning
from tests.coemogen_core.captioning.corpus import PART, SOURCE, captions, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer, caption_of, completion, refusal

RECIPE = CaptionRecipe(model=MODEL)
SMALL_FILE = 100
SOON = {"retry-after-ms": "20"}


def run(workspace: Workspace, wanted: pl.DataFrame, stub: StubServer, recipe: CaptionRecipe = RECIPE, **settings):
    return caption_part(workspace, SOURCE, PART, wanted, recipe, ServerSettings(endpoints=(stub.endpoint,), **settings))


def forbid_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a model was loaded or a server asked for nothing")

    monkeypatch.setattr(caption_part_module, "open_backend", refuse)


def test_every_picture_gets_the_caption_of_its_own_bytes_and_emotion(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(20)])
    outcome = run(workspace, wanted, stub)
    assert (outcome.rows, outcome.dropped, outcome.reused) == (20, 0, False)
    rows = workspace.table("captions", SOURCE).read()
    Captions.validate(rows)
    assert rows["image_id"].to_list() == wanted["image_id"].to_list()
    assert rows["emotion_prior"].to_list() == wanted["emotion"].to_list()
    expected = [caption_of(image_id, f"evokes {emotion}.") for image_id, emotion in wanted.iter_rows()]
    assert rows["caption"].to_list() == expected
    assert rows["recipe_id"].unique().to_list() == [RECIPE.recipe_id("server")]
    assert (rows["attempt"] == 1).all()
    assert rows["model"].unique().to_list() == [f"{MODEL}@as served"]


@pytest.fixture
def small_files(monkeypatch) -> None:
    monkeypatch.setattr("coemogen_core.captioning.caption_part.ROWS_PER_FILE", SMALL_FILE)


def test_chunks_hold_so_many_rows_and_are_named_in_order(workspace, stub, small_files):
    wanted = write_images(workspace, [jpeg(index) for index in range(2 * SMALL_FILE + 30)])
    run(workspace, wanted, stub)
    names = workspace.table("captions", SOURCE).parts()
    assert names == [f"{PART}/{RECIPE.recipe_id('server')}.{sequence:03d}" for sequence in range(3)]
    assert [workspace.table("captions", SOURCE).count([name]) for name in names] == [SMALL_FILE, SMALL_FILE, 30]


def test_a_second_call_asks_nobody(workspace, stub, monkeypatch):
    wanted = write_images(workspace, [jpeg(index) for index in range(5)])
    first = run(workspace, wanted, stub)
    forbid_models(monkeypatch)
    second = run(workspace, wanted, stub)
    assert second.reused
    assert (second.rows, second.dropped) == (first.rows, first.dropped)


def test_a_wider_selection_only_appends(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(12)])
    run(workspace, wanted.sample(5, seed=0, shuffle=True), stub)
    before = captions(workspace)
    assert run(workspace, wanted, stub).rows == 12
    assert_frame_equal(captions(workspace).head(5), before)
    assert set(stub.requests.values()) == {1}


def test_an_empty_selection_is_nothing_to_do(workspace, monkeypatch, stub):
    wanted = write_images(workspace, [jpeg(0)])
    forbid_models(monkeypatch)
    outcome = run(workspace, wanted.clear(), stub)
    assert (outcome.rows, outcome.dropped, outcome.reused) == (0, 0, True)


def test_failed_attempts_stand_in_the_table_and_are_tried_again_up_to_the_limit(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(4)])
    sick, slow_to_heal = wanted["image_id"][1], wanted["image_id"][2]

    def misbehave(image_id: str, number: int):
        if image_id == sick or (image_id == slow_to_heal and number == 1):
            return refusal(500, "out of memory", SOON)
        return None

    stub.misbehave = misbehave
    outcomes = [run(workspace, wanted, stub, max_retries=0, max_attempts=3) for _ in range(5)]
    assert [(outcome.rows, outcome.dropped, outcome.reused) for outcome in outcomes] == [
        (2, 2, False),
        (3, 1, False),
        (3, 1, False),
        (3, 1, True),
        (3, 1, True),
    ]
    history = captions(workspace).filter(image_id=sick)
    assert history["attempt"].to_list() == [1, 2, 3]
    assert history["error"].unique().to_list() == ["server: HTTP 500 out of memory"]
    assert captions(workspace).filter(image_id=slow_to_heal)["caption"].is_null().to_list() == [True, False]


def test_a_refused_request_is_recorded_and_repeated_by_the_next_run_alone(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(2)])
    refused = wanted["image_id"][0]
    stub.misbehave = lambda image_id, number: refusal(400, "too many image tokens") if image_id == refused else None
    for attempts in (1, 2):
        assert run(workspace, wanted, stub).rows == 1
        assert stub.requests[refused] == attempts
    assert captions(workspace).filter(image_id=refused)["error"].to_list() == ["refused: HTTP 400 too many image tokens"] * 2


def test_a_linted_answer_is_a_failed_attempt_with_its_reason(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(4)])
    answers = dict(
        zip(wanted["image_id"], ["I'm sorry, I can't.", "The image shows a dog.", "A dog. A cat.", ' "A dog runs."\n'], strict=True)
    )
    stub.misbehave = lambda image_id, number: completion(answers[image_id])
    assert run(workspace, wanted, stub).dropped == 3
    rows = captions(workspace)
    assert rows["caption"].to_list() == [None, None, None, "A dog runs."]
    assert [error and error.split(" (")[0] for error in rows["error"]] == [
        "rejected: refusal",
        "rejected: boilerplate",
        "rejected: more than one sentence",
        None,
    ]
    assert run(workspace, wanted, stub).reused  # greedy: the same answers would come back
    sampled = RECIPE.model_copy(update={"temperature": 0.7})
    assert [run(workspace, wanted, stub, sampled, max_attempts=2).reused for _ in range(3)] == [False, False, True]
    seeds = [body["seed"] for body in stub.bodies if "seed" in body]
    assert len(set(seeds)) == len(seeds) == 4 + 3


def test_a_picture_that_lost_its_bytes_is_a_failed_attempt(workspace, stub):
    wanted = write_images(workspace, [jpeg(0), b"no picture", jpeg(2)])
    assert (run(workspace, wanted, stub).dropped, run(workspace, wanted, stub).reused) == (1, True)
    assert captions(workspace)["error"][1].startswith("unreadable image: not an image")


def test_another_recipe_stands_beside_the_first(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(3)])
    run(workspace, wanted, stub)
    plain = RECIPE.model_copy(update={"prompt_id": "plain-short.v1"})
    run(workspace, wanted.with_columns(emotion=pl.lit(None, pl.String)), stub, plain)
    rows = captions(workspace)
    assert rows.height == 6
    assert rows.filter(recipe_id=plain.recipe_id("server"))["emotion_prior"].is_null().all()


def test_an_emotion_that_changed_gets_a_caption_of_its_own(workspace, stub):
    wanted = write_images(workspace, [jpeg(index) for index in range(3)])
    run(workspace, wanted, stub)
    changed = wanted.with_columns(emotion=pl.when(pl.col("emotion") == "awe").then(pl.lit("fear")).otherwise("emotion"))
    assert run(workspace, changed, stub).rows == 3
    again = captions(workspace).filter(attempt=2)
    assert again["emotion_prior"].to_list() == ["fear"]
    assert again["caption"][0].endswith("full of fear.")


@pytest.mark.parametrize("change", ["foreign", "twice", "without emotion"])
def test_a_wrong_selection_is_refused_before_any_work(workspace, stub, change, monkeypatch):
    wanted = write_images(workspace, [jpeg(0), jpeg(1)])
    forbid_models(monkeypatch)
    wrong = {
        "foreign": wanted.with_columns(image_id=pl.lit("0" * 64)),
        "twice": pl.concat([wanted, wanted]),
        "without emotion": wanted.with_columns(emotion=pl.lit(None, pl.String)),
    }[change]
    with pytest.raises(ValueError, match=f"part {PART}"):
        run(workspace, wrong, stub)


def test_a_server_that_goes_away_keeps_the_finished_chunks(workspace, small_files):
    wanted = write_images(workspace, [jpeg(index) for index in range(250)])
    with StubServer() as dying:

        def die(image_id: str, number: int) -> Response | None:
            if image_id != wanted["image_id"][-1]:
                return None
            dying.stop()
            return Response(iter([b"{"]), 200, {"Content-Length": "5000"}, content_type="application/json")

        dying.misbehave = die
        with pytest.raises(EndpointUnreachableError, match="no captioner answers at"):
            run(workspace, wanted, dying, concurrency=1, max_retries=0, patience_s=0.3)
    assert captions(workspace).height == 200
    with StubServer() as revived:
        assert run(workspace, wanted, revived).rows == 250
        assert sum(revived.requests.values()) == 1  # the other 49 of the last chunk stood in the journal
    assert captions(workspace)["attempt"].unique().to_list() == [1]


def kill_after_chunks(workspace: Workspace, wanted: Path, recipe: CaptionRecipe, settings, chunks: int) -> int:
    """Caption in another process, and kill it with SIGKILL as soon as so many chunks lie there; returns how many there were then."""
    recipe_id = recipe.recipe_id(settings.backend)
    deadline = time.monotonic() + 300
    with start_captioning(workspace, wanted, recipe, settings) as process:
        try:
            while len(chunk_names(workspace, SOURCE, PART, recipe_id)) < chunks:
                assert process.poll() is None, "captioning ended by itself before it could be killed"
                assert time.monotonic() < deadline
                time.sleep(0.002)
        finally:
            process.kill()
    return len(chunk_names(workspace, SOURCE, PART, recipe_id))


def test_killed_with_a_server_and_resumed_the_table_is_that_of_an_undisturbed_run(workspace, tmp_path, small_files):
    with StubServer(delay_s=0.004) as stub:
        wanted = write_images(workspace, [b"no picture" if index == 50 else jpeg(index) for index in range(320)])
        sick_id = wanted["image_id"][3]
        stub.misbehave = lambda image_id, number: refusal(500, "ill", SOON) if image_id == sick_id else None
        wanted.write_parquet(tmp_path / "wanted.parquet")
        settings = ServerSettings(endpoints=(stub.endpoint,), concurrency=4, max_retries=0)
        for chunks in (1, 2):
            assert kill_after_chunks(workspace, tmp_path / "wanted.parquet", RECIPE, settings, chunks) < 4
        outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings)
        undisturbed = Workspace(str(tmp_path / "undisturbed"))
        write_images(undisturbed, [row["bytes"] for row in workspace.table("images", SOURCE).read(["image"])["image"]])
        assert caption_part(undisturbed, SOURCE, PART, wanted, RECIPE, settings).rows == outcome.rows == 318
    assert_frame_equal(captions(workspace), captions(undisturbed))
    assert workspace.table("captions", SOURCE).parts() == undisturbed.table("captions", SOURCE).parts()
    assert captions(workspace)["image_id"].is_unique().all()


def test_killed_with_a_local_model_and_resumed_the_table_is_that_of_an_undisturbed_run(workspace, tmp_path):
    pictures = [jpeg(index) for index in range(230)]
    wanted = write_images(workspace, pictures)
    wanted.write_parquet(tmp_path / "wanted.parquet")
    recipe = CaptionRecipe(model="lab:captioner", max_new_tokens=48)
    settings = LocalSettings(batch_size=10, device="cpu")
    assert kill_after_chunks(workspace, tmp_path / "wanted.parquet", recipe, settings, 1) < 3
    outcome = caption_part(workspace, SOURCE, PART, wanted, recipe, settings)
    undisturbed = Workspace(str(tmp_path / "undisturbed"))
    write_images(undisturbed, pictures)
    assert caption_part(undisturbed, SOURCE, PART, wanted, recipe, settings).rows == outcome.rows > 200
    assert_frame_equal(captions(workspace), captions(undisturbed))


def test_the_slot_of_the_captioner_is_taken_to_ask_alone(workspace, stub, slot):
    wanted = write_images(workspace, [jpeg(index) for index in range(3)])
    settings = ServerSettings(endpoints=(stub.endpoint,))
    for reused in (False, True):
        assert caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings, slot=slot).reused is reused
        assert slot.entered == 1


def test_a_row_says_when_its_caption_was_asked_for_not_when_it_was_written(workspace, stub):
    wanted = write_images(workspace, [jpeg(0)])
    recipe_id = RECIPE.recipe_id("server")
    answer = CaptionAnswer(wanted["image_id"][0], text="A dog runs.", asked_at=1.5)
    Journal(journal_path(workspace.table("captions", SOURCE).uri, PART, recipe_id)).append([(answer, wanted["emotion"][0], 1)])
    assert run(workspace, wanted, stub).rows == 1
    assert workspace.table("captions", SOURCE).read()["asked_at"].to_list() == [datetime.fromtimestamp(1.5, UTC)]
