import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.emoart_thresholds import THRESHOLDS, threshold_table
from coemogen_core.emotions import EMOART_EMOTIONS, EMOTIONS


def frame(rows):
    schema = {"image_id": pl.String, "label": pl.String, "confidence": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_precision_and_recall_at_each_threshold():
    scores = frame(
        [("a", "awe", 0.9), ("b", "awe", 0.7), ("c", "fear", 0.8), ("d", "disgust", 0.99), ("e", "anger", 0.95), ("f", "fear", 0.6)]
    )
    truth = {"a": "awe", "b": "awe", "c": "sadness", "d": "fear", "e": None, "g": "awe"}
    low, high = threshold_table(scores, truth, thresholds=(0.5, 0.85))
    assert (low.selected, low.precision, low.recall) == (4, 0.5, 0.5)  # a, b, c, e of a, b, c, d: f is unknown, disgust is not collected
    assert (high.selected, high.precision, high.recall) == (2, 0.5, 0.25)


def test_nothing_selected_and_nothing_wanted_are_no_numbers():
    (row,) = threshold_table(frame([("a", "awe", 0.1)]), {"a": None}, thresholds=(0.5,))
    assert (row.selected, row.precision, row.recall) == (0, None, None)


pictures = st.tuples(st.sampled_from(EMOTIONS), st.floats(0, 1, width=32), st.sampled_from((*EMOTIONS, None)))


@given(st.lists(pictures, min_size=1, max_size=40))
def test_a_higher_threshold_never_selects_or_recalls_more(drawn):
    scores = frame([(str(number), label, confidence) for number, (label, confidence, _) in enumerate(drawn)])
    truth = {str(number): emotion for number, (_, _, emotion) in enumerate(drawn)}
    rows = threshold_table(scores, truth)
    assert [row.threshold for row in rows] == list(THRESHOLDS)
    assert [row.selected for row in rows] == sorted((row.selected for row in rows), reverse=True)
    if rows[0].recall is not None:
        assert [row.recall for row in rows] == sorted((row.recall for row in rows), reverse=True)
        wanted = [number for number, emotion in truth.items() if emotion in EMOART_EMOTIONS]
        kept = [n for n in wanted if drawn[int(n)][0] == truth[n] and drawn[int(n)][1] > 0.5]
        assert rows[0].recall == pytest.approx(len(kept) / len(wanted))
