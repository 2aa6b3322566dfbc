from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.attempts import HISTORY_COLUMNS, attempts_of, chunk_name, due_now, free_sequences, part_recipe_sequence
from coemogen_core.captioning.backend import FailureKind, failure, is_final
from coemogen_core.captioning.recipe import CaptionRecipe

GREEDY = CaptionRecipe(model="m")
SAMPLED = CaptionRecipe(model="m", temperature=0.7)
SCHEMA = {"image_id": pl.String, "attempt": pl.Int32, "emotion_prior": pl.String, "caption": pl.String, "error": pl.String}


def wanted(**emotions: str | None) -> pl.DataFrame:
    rows = pl.DataFrame(list(emotions.items()), schema={"image_id": pl.String, "emotion_prior": pl.String}, orient="row")
    return rows.with_columns(after_attempt=pl.lit(0))


def attempts(*rows: tuple[str, int, str | None, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def due(wanted_rows: pl.DataFrame, tried: pl.DataFrame, recipe: CaptionRecipe = GREEDY, limit: int = 3) -> list[tuple]:
    return due_now(attempts_of(wanted_rows, tried, recipe), limit).rows()


def test_what_was_never_tried_comes_before_what_failed():
    tried = attempts(("a", 1, "awe", None, "timeout: 5 s"), ("b", 1, "awe", "A dog.", None))
    assert due(wanted(a="awe", b="awe", c="fear"), tried) == [("c", "fear", 1)]
    assert due(wanted(a="awe", b="awe"), tried) == [("a", "awe", 2)]
    assert due(wanted(b="awe"), tried) == []


def test_of_the_failed_the_least_tried_come_first_and_none_more_often_than_allowed():
    tried = attempts(
        ("a", 1, "awe", None, "server: HTTP 500"), ("b", 1, "awe", None, "server: HTTP 500"), ("a", 2, "awe", None, "timeout: 5 s")
    )
    assert due(wanted(a="awe", b="awe"), tried) == [("b", "awe", 2)]
    tried = pl.concat([tried, attempts(("b", 2, "awe", None, "server: HTTP 500"))])
    assert due(wanted(a="awe", b="awe"), tried) == [("a", "awe", 3), ("b", "awe", 3)]
    assert due(wanted(a="awe", b="awe"), tried, limit=2) == []


def test_a_rejected_answer_is_worth_another_attempt_only_when_the_next_may_differ():
    tried = attempts(("a", 1, "awe", None, "rejected: refusal ('Sorry')"))
    assert due(wanted(a="awe"), tried, GREEDY) == []
    assert due(wanted(a="awe"), tried, SAMPLED) == [("a", "awe", 2)]


def test_an_emotion_that_changed_is_another_question():
    tried = attempts(("a", 1, "awe", "A dog.", None))
    assert due(wanted(a="fear"), tried) == [("a", "fear", 2)]
    assert due(wanted(a=None), attempts(("a", 1, None, "A dog.", None))) == []


@given(st.sampled_from(get_args(FailureKind)), st.text(max_size=50))
def test_the_kind_of_a_failure_survives_its_detail(kind, detail):
    assert is_final(failure(kind, detail), deterministic=False) == (kind == "unreadable image")
    assert is_final(failure(kind, detail), deterministic=True) == (kind in ("unreadable image", "rejected"))


@given(st.data())
def test_rounds_end_with_every_picture_settled_or_tried_as_often_as_allowed(data):
    ids = [f"{index:02d}" for index in range(8)]
    asked = wanted(**dict.fromkeys(ids, "awe"))
    tried = attempts()
    rounds = 0
    while rows := due(asked, tried, limit=3):
        fates = data.draw(st.lists(st.sampled_from(["A dog.", None]), min_size=len(rows), max_size=len(rows)))
        errors = [None if fate else "server: HTTP 500" for fate in fates]
        new = [(row[0], row[2], row[1], fate, error) for row, fate, error in zip(rows, fates, errors, strict=True)]
        tried, rounds = pl.concat([tried, attempts(*new)]), rounds + 1
    history = attempts_of(asked, tried, GREEDY)
    assert rounds <= 3
    assert history.select((pl.col("captioned") | (pl.col("tried") == 3)).all()).item()
    assert tried.select(pl.struct("image_id", "attempt").is_duplicated().any()).item() is False
    assert tried.group_by("image_id").agg(pl.col("caption").is_not_null().sum())["caption"].max() <= 1


def test_chunks_sort_as_they_were_written():
    names = [chunk_name("part-00000-x", "caption-abc", index) for index in range(12)]
    assert names == sorted(names)
    assert list(SCHEMA) == HISTORY_COLUMNS


def test_captioned_anew_only_later_attempts_count():
    tried = attempts(("a", 1, "awe", "A dog.", None), ("a", 2, "awe", None, "timeout: 5 s"), ("b", 1, "awe", "A cat.", None))
    anew = wanted(a="awe", b="awe").with_columns(after_attempt=pl.Series([2, 0]))
    assert due(anew, tried) == [("a", "awe", 3)]
    assert due(anew, pl.concat([tried, attempts(("a", 3, "awe", "A wolf.", None))])) == []


def test_chunk_names_say_part_recipe_and_number():
    name = chunk_name("part-00001-89abcdef", "caption-0123", 17)
    assert name == "part-00001-89abcdef/caption-0123.017"
    assert part_recipe_sequence(name) == ("part-00001-89abcdef", "caption-0123", 17)
    with pytest.raises(ValueError, match="not named"):
        part_recipe_sequence("part-00001-89abcdef")


def test_numbers_that_a_killed_run_left_out_are_filled_first():
    taken = [chunk_name("part-0", "caption-0", number) for number in (0, 2, 3)]
    assert [next(numbers) for numbers in [free_sequences(taken)] for _ in range(3)] == [1, 4, 5]
