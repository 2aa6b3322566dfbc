"""Answers that a killed run had received are not asked for again, whatever became of its part."""

from pathlib import Path

import polars as pl
import pytest

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.journal import Journal, journal_path
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.data.picture_index import pictures_table, update_index
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images, Pictures
from tests.coemogen_core.captioning.client_process import start_captioning
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer

RECIPE = CaptionRecipe(model=MODEL)
RECIPE_ID = RECIPE.recipe_id("server")
LATER = "part-of-the-changed-source"


def journal(workspace: Workspace) -> Journal:
    """Of the part that a run left."""
    return Journal(journal_path(workspace.table("captions", SOURCE).uri, PART, RECIPE_ID))


def change_source(workspace: Workspace, pictures: list[bytes]) -> pl.DataFrame:
    """These pictures take the place of the part that was there, of which the list alone stays; returns the selection of all."""
    images = workspace.table("images", SOURCE)
    pictures_table(workspace, SOURCE).write_part(PART, images.read_part(PART).select("image_id", "width", "height"), Pictures)
    wanted = write_images(workspace, pictures)
    images.write_part(LATER, images.read_part(PART), Images)
    images.remove_part(PART)
    update_index(workspace)
    return wanted


def ask_later(workspace: Workspace, stub: StubServer, wanted: pl.DataFrame) -> pl.DataFrame:
    """Attempts at the changed source's part."""
    caption_part(workspace, SOURCE, LATER, wanted, RECIPE, ServerSettings(endpoints=(stub.endpoint,)))
    return read_attempts(workspace, SOURCE, LATER, RECIPE_ID)


@pytest.fixture
def left(workspace, tmp_path, monkeypatch) -> pl.DataFrame:
    """The pictures of a part; a run that was killed has left its journal with answers to all."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    wanted = write_images(workspace, [jpeg(index) for index in range(6)])
    answers = [CaptionAnswer(image_id, text="A dog runs.", asked_at=1.5) for image_id in wanted["image_id"]]
    journal(workspace).append((answer, emotion, 1) for answer, emotion in zip(answers, wanted["emotion"], strict=True))
    return wanted


@pytest.mark.every_storage
def test_what_stands_in_the_journal_of_a_part_that_is_gone_is_not_paid_twice(workspace, stub, left):
    wanted = change_source(workspace, [jpeg(index) for index in range(8)])
    rows = ask_later(workspace, stub, wanted)
    assert set(stub.requests) == set(wanted["image_id"]) - set(left["image_id"])
    assert rows.filter(caption="A dog runs.")["image_id"].to_list() == left["image_id"].to_list()
    assert set(rows["attempt"]) == {1}


def test_an_answer_to_another_emotion_is_none(workspace, stub, left):
    """Neither in the part's own journal, nor in one of another part."""
    wanted = left.with_columns(emotion=pl.lit("sadness"))
    caption_part(workspace, SOURCE, PART, wanted.head(3), RECIPE, ServerSettings(endpoints=(stub.endpoint,)))
    assert set(stub.requests) == set(wanted["image_id"].head(3))
    assert read_attempts(workspace, SOURCE, PART, RECIPE_ID).filter(caption="A dog runs.").is_empty()


def test_an_answer_to_another_emotion_is_none_in_a_part_that_is_gone(workspace, stub, left):
    change_source(workspace, [jpeg(index) for index in range(6)])
    rows = ask_later(workspace, stub, left.with_columns(emotion=pl.lit("sadness")))
    assert set(stub.requests) == set(left["image_id"])
    assert set(rows["emotion_prior"]) == {"sadness"}


def test_what_a_server_failed_at_is_asked_anew(workspace, stub, left):
    ill = left.row(0)
    journal(workspace).append([(CaptionAnswer(ill[0], error="server: HTTP 500", asked_at=2.5), ill[1], 1)])
    change_source(workspace, [jpeg(index) for index in range(6)])
    rows = ask_later(workspace, stub, left)
    assert set(stub.requests) == {ill[0]}
    assert rows["error"].null_count() == 6


def test_the_journal_of_another_recipe_says_nothing(workspace, stub, left):
    change_source(workspace, [jpeg(index) for index in range(6)])
    warm = RECIPE.model_copy(update={"temperature": 0.7})
    caption_part(workspace, SOURCE, LATER, left, warm, ServerSettings(endpoints=(stub.endpoint,)))
    assert set(stub.requests) == set(left["image_id"])


def test_a_run_is_killed_and_its_source_has_changed_when_it_goes_on(workspace, tmp_path: Path):
    wanted = write_images(workspace, [jpeg(index) for index in range(120)])
    wanted.write_parquet(tmp_path / "wanted.parquet")
    with StubServer(delay_s=0.02) as stub:
        settings = ServerSettings(endpoints=(stub.endpoint,), concurrency=4)
        with start_captioning(workspace, tmp_path / "wanted.parquet", RECIPE, settings, rows_per_file=500) as process:
            while len(journal(workspace).read()) < 20:
                assert process.poll() is None, "captioning ended by itself before it could be killed"
            process.kill()
        received = {image_id for image_id, *_ in journal(workspace).read()}
        rows = ask_later(workspace, stub, change_source(workspace, [jpeg(index) for index in range(121)]))
        assert {stub.requests[image_id] for image_id in received} == {1}
        assert stub.requests.total() <= 121 + 4  # all that can be lost is what was on its way
    assert rows["image_id"].n_unique() == rows.height == 121
    assert rows["error"].null_count() == 121
