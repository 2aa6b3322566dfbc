"""Attempts and verdicts follow their picture into other parts and sources."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import pytest

from coemogen_core.captioning import caption_part as caption_part_module
from coemogen_core.captioning import carried_attempts
from coemogen_core.captioning.attempts import ATTEMPT_KEY, read_attempts
from coemogen_core.captioning.audit.reviews import rejected_attempts
from coemogen_core.captioning.caption_part import caption_part, has_due
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.data.picture_index import pictures_table, update_index
from coemogen_core.data.standing_rows import FRUITLESS
from coemogen_core.storage.local_files import local_folder
from coemogen_core.storage.workspace import Workspace
from schemas.tables import CaptionReviews, Images, Pictures
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer, refusal

pytestmark = pytest.mark.every_storage
OTHER = "art"
RECIPE, WARM = CaptionRecipe(model=MODEL), CaptionRecipe(model=MODEL, temperature=0.7)
FREE = ServerSettings(endpoints=("http://127.0.0.1:9/v1",))
"""A captioner that nobody may ask."""


def take_in(workspace: Workspace, source: str, part: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Make these rows of the images table a part, with its list of pictures, as ingestion does; returns the selection of all."""
    workspace.table("images", source).write_part(part, rows, Images)
    pictures_table(workspace, source).write_part(part, rows.select("image_id", "width", "height"), Pictures)
    return rows.select("image_id", emotion="label")


def ask(workspace, stub: StubServer, source: str, part: str, wanted: pl.DataFrame, recipe: CaptionRecipe = RECIPE):
    return caption_part(workspace, source, part, wanted, recipe, ServerSettings(endpoints=(stub.endpoint,), max_retries=0))


def due(rows: pl.DataFrame) -> tuple[str, pl.DataFrame]:
    """What is asked for with `RECIPE`, all of it."""
    label = "label" if "label" in rows.columns else "emotion"
    return RECIPE.recipe_id("server"), rows.select("image_id", emotion_prior=label)


@pytest.fixture
def captioned(workspace, stub) -> pl.DataFrame:
    """Images of which some failed, captioned by two recipes; nothing else is in the workspace."""
    stub.misbehave = lambda image_id, number: refusal(413, "too large") if image_id[0] in "01" else None
    wanted = write_images(workspace, [jpeg(index) for index in range(20)])
    rows = workspace.table("images", SOURCE).read_part(PART)
    take_in(workspace, SOURCE, PART, rows)
    for recipe in (RECIPE, WARM):
        ask(workspace, stub, SOURCE, PART, wanted, recipe)
    stub.reset()
    update_index(workspace)
    return rows


def test_another_source_asks_for_new_pictures_alone(workspace, stub, captioned):
    extra = Workspace(workspace.uri + "-more")
    write_images(extra, [jpeg(index) for index in range(100, 105)])
    new = extra.table("images", SOURCE).read_part(PART)
    wanted = take_in(workspace, OTHER, "mixed", pl.concat([captioned[::2], new]).sort("image_id"))
    outcome = ask(workspace, stub, OTHER, "mixed", wanted)
    assert set(stub.requests) == set(new["image_id"])
    assert outcome.rows + outcome.dropped == 15
    carried = read_attempts(workspace, OTHER, "mixed", None).join(new, on="image_id", how="anti")
    stood = read_attempts(workspace, SOURCE, PART, None).join(captioned[::2], on="image_id", how="semi")
    assert carried.sort("image_id", "recipe_id").equals(stood.sort("image_id", "recipe_id"))  # failures too, with the time of asking
    assert workspace.list_files("caption_recipes", OTHER) == workspace.list_files("caption_recipes", SOURCE)


def test_nothing_is_due_where_all_is_carried(workspace, stub, captioned):
    """So no server is started for a source of known pictures."""
    known = captioned.filter(~pl.col("image_id").str.contains("^[01]"))
    wanted = take_in(workspace, OTHER, "known", known)
    settings = ServerSettings(endpoints=(stub.endpoint,))
    assert not has_due(workspace, OTHER, "known", wanted, RECIPE, settings)
    outcome = ask(workspace, stub, OTHER, "known", wanted)
    assert outcome.reused
    assert outcome.rows == known.height
    assert not stub.requests


def test_carrying_twice_adds_nothing(workspace, stub, captioned):
    wanted = take_in(workspace, OTHER, "twice", captioned)
    for _ in range(3):
        ask(workspace, stub, OTHER, "twice", wanted)
    attempts = read_attempts(workspace, OTHER, "twice", None)
    assert attempts.select("image_id", "recipe_id", "attempt").is_duplicated().any() is False
    assert read_attempts(workspace, OTHER, "twice", WARM.recipe_id("server")).height == 20


def test_a_verdict_counts_in_every_source_that_holds_the_picture(workspace, stub, captioned):
    attempt = read_attempts(workspace, SOURCE, PART, RECIPE.recipe_id("server")).drop_nulls("caption").row(0, named=True)
    key = {name: attempt[name] for name in ("image_id", "recipe_id", "attempt")}
    review = key | {"emotion": attempt["emotion_prior"], "caption": attempt["caption"], "verdict": "reject", "note": None}
    review |= {"reviewer": None}
    review |= {"audit_id": "audit-0123456789ab", "exported_at": "2026-01-31T12:00:00.000Z"}
    rows = pl.DataFrame([review], schema=CaptionReviews.create_empty().schema)
    workspace.table("caption_reviews", SOURCE).write_part("audit-0123456789ab.1", rows, CaptionReviews)
    later = rows.with_columns(verdict=pl.lit("accept"), exported_at=pl.lit("2026-02-01T12:00:00.000Z"))
    rejected = rejected_attempts(workspace).drop("attempt").rows()
    assert rejected == [(attempt["image_id"], attempt["recipe_id"], emotion, attempt["caption"]) for emotion in (None, review["emotion"])]
    workspace.table("caption_reviews", OTHER).write_part("audit-0123456789ab.2", later, CaptionReviews)
    assert rejected_attempts(workspace).is_empty()  # the last word of a person, on whatever page it was given


def test_attempts_come_from_every_place_that_holds_some_of_the_pictures(workspace, stub, captioned):
    extra = Workspace(workspace.uri + "-more")
    write_images(extra, [jpeg(index) for index in range(100, 110)])
    more = extra.table("images", SOURCE).read_part(PART)
    ask(workspace, stub, "album", "second", take_in(workspace, "album", "second", more))
    stub.reset()
    update_index(workspace)
    wanted = take_in(workspace, OTHER, "both", pl.concat([captioned, more]))
    ask(workspace, stub, OTHER, "both", wanted)
    assert not set(stub.requests) & set(more["image_id"])
    assert read_attempts(workspace, OTHER, "both", RECIPE.recipe_id("server"))["image_id"].n_unique() == 30


def other_emotions(rows: pl.DataFrame) -> pl.DataFrame:
    """The same pictures, each labelled as the one before it."""
    return rows.with_columns(label=pl.col("label").shift(1, fill_value="sadness"))


@pytest.fixture
def at_once(workspace, stub, captioned) -> pl.DataFrame:
    """Another source with the same pictures under other emotions, captioned before it could know of the first; its selection."""
    wanted = take_in(workspace, OTHER, "at-once", other_emotions(captioned))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("coemogen_core.captioning.caption_part.carry_attempts", lambda *_: 0)
        ask(workspace, stub, OTHER, "at-once", wanted)
    stub.reset()
    update_index(workspace)
    return wanted


def test_attempts_that_other_sources_gave_the_same_number_are_both_kept(workspace, stub, captioned, at_once):
    recipe_id = RECIPE.recipe_id("server")
    first, second = (read_attempts(workspace, *place, recipe_id).drop_nulls("caption") for place in ((SOURCE, PART), (OTHER, "at-once")))
    take_in(workspace, OTHER, "cut-again", other_emotions(captioned))
    assert not has_due(workspace, OTHER, "cut-again", at_once.filter(pl.col("image_id").is_in(second["image_id"].implode())), RECIPE, FREE)
    stands = read_attempts(workspace, OTHER, "cut-again", recipe_id)
    assert not stands.select(ATTEMPT_KEY).is_duplicated().any()
    answers = stands.drop_nulls("caption").drop("attempt")
    for rows in (first, second):
        assert rows.drop("attempt").join(answers, on=answers.columns, how="anti", nulls_equal=True).is_empty()
    assert second.join(stands, on=second.columns, how="anti", nulls_equal=True).is_empty()  # the source's own keep their numbers
    assert (
        carried_attempts.carry_attempts(workspace, OTHER, "cut-again", captioned["image_id"], *due(captioned)) == 0
    )  # whatever their number


def test_a_cut_again_source_asks_nothing_that_it_asked(workspace, stub, captioned, at_once):
    """Although the other source's attempts stand under the same numbers."""
    good = captioned.filter(~pl.col("image_id").str.contains("^[01]"))
    wanted = take_in(workspace, SOURCE, "half", good[::2])
    ask(workspace, stub, SOURCE, "half", wanted)
    assert not stub.requests


def test_a_chunk_that_another_run_wrote_meanwhile_is_left_as_it_is(stub, workspace, captioned, monkeypatch):
    """Where nothing locks; on a disk the two wait for each other."""
    if local_folder(workspace.uri) is not None:
        pytest.skip("locked")
    wanted = take_in(workspace, OTHER, "raced", other_emotions(captioned))
    names = carried_attempts.chunk_names

    def another_run_is_faster(*place: str) -> list[str]:
        found = names(*place)
        monkeypatch.undo()
        monkeypatch.setattr(caption_part_module, "carry_attempts", lambda *_: 0)
        ask(workspace, stub, OTHER, "raced", wanted)
        monkeypatch.undo()
        return found

    monkeypatch.setattr(carried_attempts, "chunk_names", another_run_is_faster)
    carried_attempts.carry_attempts(workspace, OTHER, "raced", wanted["image_id"], *due(wanted))
    stands = read_attempts(workspace, OTHER, "raced", None)
    assert not stands.select(ATTEMPT_KEY).is_duplicated().any()
    assert set(stands.drop_nulls("caption")["emotion_prior"]) >= set(wanted["emotion"])
    asked = stands.join(wanted, left_on=["image_id", "emotion_prior"], right_on=["image_id", "emotion"])
    assert set(asked.filter(recipe_id=RECIPE.recipe_id("server"))["image_id"]) == set(wanted["image_id"])


def test_the_chunks_of_a_captioning_run_leave_room_for_what_was_taken_over_meanwhile(stub, workspace, captioned):
    wanted = take_in(workspace, OTHER, "raced", other_emotions(captioned))

    @contextmanager
    def another_run_is_faster() -> Iterator[None]:
        carried_attempts.carry_attempts(workspace, OTHER, "raced", wanted["image_id"], *due(wanted))
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caption_part_module, "carry_attempts", lambda *_: 0)
        settings = ServerSettings(endpoints=(stub.endpoint,), max_retries=0)
        caption_part(workspace, OTHER, "raced", wanted, RECIPE, settings, slot=another_run_is_faster)
    stands = read_attempts(workspace, OTHER, "raced", RECIPE.recipe_id("server"))
    assert stands.height == 40
    assert not stands.select(ATTEMPT_KEY).is_duplicated().any()


def test_parts_that_are_gone_cost_no_more_the_more_there_are(workspace, stub, captioned, monkeypatch):
    """A part whose sources changed every day: every day another part held its pictures."""
    known = captioned.filter(~pl.col("image_id").str.contains("^[01]"))
    for day in range(30):
        pictures_table(workspace, SOURCE).write_part(f"day-{day:02d}", captioned.select("image_id", "width", "height"), Pictures)
    update_index(workspace)
    monkeypatch.setattr("coemogen_core.captioning.places_of_attempts.current_parts", lambda *_: [PART])
    looked: list[str] = []
    read = carried_attempts.read_attempts
    monkeypatch.setattr(carried_attempts, "read_attempts", lambda *place: looked.append(place[2]) or read(*place))
    wanted = take_in(workspace, OTHER, "known", known)
    assert ask(workspace, stub, OTHER, "known", wanted).rows == known.height
    assert looked == ["known", PART]
    looked.clear()
    extra = Workspace(workspace.uri + "-more")
    write_images(extra, [jpeg(index) for index in range(100, 102)])
    new = extra.table("images", SOURCE).read_part(PART)
    for day in range(30):
        pictures_table(workspace, SOURCE).write_part(f"later-{day:02d}", new.select("image_id", "width", "height"), Pictures)
    update_index(workspace)
    ask(workspace, stub, OTHER, "new", take_in(workspace, OTHER, "new", new))
    assert len(looked) == 1 + FRUITLESS
