import math
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.captioning.alignment_filter import drop_lowest_aligned

SCHEMA = {"image_id": pl.String, "label": pl.String, "similarity": pl.Float32}
ROWS = st.lists(
    st.tuples(st.sampled_from(["awe", "fear", "sadness"]), st.one_of(st.sampled_from([0.1, 0.2, -0.0, 0.0]), st.floats(-1, 1, width=32))),
    max_size=60,
)
FRACTIONS = st.one_of(st.sampled_from([0.0, 0.2, 0.29, 0.1, 0.7, 0.999]), st.floats(0, 0.9375))


def frame_of(rows: list[tuple[str, float]]) -> pl.DataFrame:
    ids = [f"{(index * 37) % 101:064x}" for index in range(len(rows))]
    return pl.DataFrame([(image_id, *row) for image_id, row in zip(ids, rows, strict=True)], schema=SCHEMA, orient="row")


def brute_force(frame: pl.DataFrame, fraction: float) -> set[str]:
    dropped: set[str] = set()
    for label in set(frame["label"]):
        rows = sorted(frame.filter(pl.col("label") == label).select("similarity", "image_id").iter_rows())
        dropped |= {image_id for _, image_id in rows[: math.floor(Decimal(repr(fraction)) * len(rows))]}
    return dropped


@given(ROWS, FRACTIONS)
@settings(max_examples=150)
def test_drops_exactly_the_lowest_of_each_emotion(rows, fraction):
    frame = frame_of(rows)
    judged = drop_lowest_aligned(frame, fraction)
    assert judged.select(frame.columns).equals(frame)
    assert set(judged.filter(~pl.col("kept"))["image_id"]) == brute_force(frame, fraction)
    assert (judged["kept"] == (judged["reason"] == "kept")).all()
    assert set(judged["reason"]) <= {"kept", "low alignment"}


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_rows_does_not_matter(rows, random):
    frame = frame_of(rows)
    order = list(range(frame.height))
    random.shuffle(order)
    shuffled = drop_lowest_aligned(frame[order], 0.3)
    assert shuffled.sort("image_id").equals(drop_lowest_aligned(frame, 0.3).sort("image_id"))


@given(ROWS, st.floats(0, 0.9), st.floats(0, 0.09))
@settings(max_examples=50)
def test_a_larger_fraction_only_drops_more(rows, fraction, more):
    frame = frame_of(rows)
    assert (drop_lowest_aligned(frame, fraction)["kept"] | ~drop_lowest_aligned(frame, fraction + more)["kept"]).all()


def test_the_fraction_is_the_decimal_that_was_written():
    frame = frame_of([("awe", index / 100) for index in range(100)])
    assert (~drop_lowest_aligned(frame, 0.29)["kept"]).sum() == 29  # 0.29 * 100 is 28.999999999999996 in floats


def test_all_equal_goes_by_image_id():
    frame = frame_of([("awe", 0.5)] * 10)
    dropped = drop_lowest_aligned(frame, 0.3).filter(~pl.col("kept"))["image_id"]
    assert set(dropped) == set(frame["image_id"].sort()[:3])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_bad_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction to drop"):
        drop_lowest_aligned(frame_of([("awe", 0.1)]), fraction)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_missing_similarity_is_refused(value):
    with pytest.raises(ValueError, match="similarity"):
        drop_lowest_aligned(frame_of([("awe", 0.1), ("awe", value)]), 0.2)
