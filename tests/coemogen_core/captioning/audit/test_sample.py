"""The draw: the same for every order of the rows, mergeable, and hardly changed by new pictures."""

import hashlib
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.audit.sample import AuditableCaptions, draw_sample
from coemogen_core.emotions import EMOTIONS
from tests.coemogen_core.captioning.audit.audited_source import RECIPE, auditable

NUMBERS = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(EMOTIONS)), max_size=60, unique_by=lambda pair: pair[0])


def captions(pairs: list[tuple[int, str]]) -> pl.DataFrame:
    rows = [
        {"image_id": hashlib.sha256(str(number).encode()).hexdigest(), "part": f"part-{number % 3}", "emotion": emotion}
        | {"recipe_id": RECIPE, "attempt": 1, "caption": f"caption {number}", "similarity": None, "fields": None}
        for number, emotion in pairs
    ]
    return pl.DataFrame(rows, schema=AuditableCaptions.create_empty().schema)


@given(NUMBERS, st.integers(1, 9), st.integers(0, 3), st.randoms())
def test_the_draw_takes_what_was_asked_for_whatever_the_order(pairs: list, per_emotion: int, seed: int, random: object) -> None:
    sample = draw_sample(captions(pairs), per_emotion, seed)
    there = Counter(emotion for _, emotion in pairs)
    assert Counter(sample["emotion"]) == {emotion: min(count, per_emotion) for emotion, count in there.items()}
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert draw_sample(captions(shuffled), per_emotion, seed).equals(sample)


@given(NUMBERS, st.integers(1, 9), st.integers(0, 60))
def test_a_new_picture_displaces_one_at_most_and_parts_can_be_drawn_one_by_one(pairs: list, per_emotion: int, cut: int) -> None:
    everything = draw_sample(captions(pairs), per_emotion, 0)
    merged = draw_sample(pl.concat([draw_sample(captions(pairs[:cut]), per_emotion, 0), captions(pairs[cut:])]), per_emotion, 0)
    assert merged.equals(everything)
    without_last = draw_sample(captions(pairs[:-1]), per_emotion, 0)
    assert len(set(without_last["image_id"]) - set(everything["image_id"])) <= 1


def test_another_seed_draws_others() -> None:
    rows = captions([(number, "awe") for number in range(200)])
    drawn = [set(draw_sample(rows, 20, seed)["image_id"]) for seed in range(4)]
    assert all(len(one & other) < 10 for one in drawn for other in drawn if one is not other)


def test_the_draw_is_the_same_on_every_machine() -> None:
    rows = captions([(number, "awe") for number in range(50)])
    by_hash = sorted(rows["image_id"], key=lambda image_id: hashlib.sha256(f"7/{image_id}".encode()).hexdigest())
    assert draw_sample(rows, 3, 7)["image_id"].to_list() == by_hash[:3]


def test_a_picture_of_two_parts_counts_once() -> None:
    ids = ["0" * 64, "1" * 64]
    twice = pl.concat([auditable(ids, "part-1", emotion="awe"), auditable(ids, "part-0", emotion="fear")])
    sample = draw_sample(twice, 5, 0)
    assert sample.select("part", "emotion").unique().rows() == [("part-0", "fear")]
    assert sample.height == 2


def test_what_cannot_be_drawn_from_is_refused() -> None:
    rows = auditable(["0" * 64])
    with pytest.raises(ValueError, match="lack the columns fields; there are image_id"):
        draw_sample(rows.drop("fields"), 5, 0)
    with pytest.raises(ValueError, match="per_emotion is 0"):
        draw_sample(rows, 0, 0)
    with pytest.raises(Exception, match="emotion"):
        draw_sample(rows.with_columns(emotion=pl.lit("boredom")), 5, 0)
