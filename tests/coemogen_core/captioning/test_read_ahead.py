import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.local_backend import read_ahead


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=30), st.integers(min_value=0, max_value=4))
def test_items_come_in_order(items, depth):
    assert list(read_ahead(iter(items), depth)) == items


def test_only_a_few_items_are_computed_in_advance():
    made = []

    def items():
        for index in range(100):
            made.append(index)
            yield index

    stream = read_ahead(items(), depth=2)
    assert next(stream) == 0
    time.sleep(0.1)
    assert len(made) <= 4
    stream.close()
    assert len(made) <= 4


def test_the_stream_is_computed_in_one_other_thread():
    threads = set(read_ahead((threading.get_ident() for _ in range(20)), depth=3))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_arrives_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise OSError("disk gone")

    stream = read_ahead(items(), depth=2)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(OSError, match="disk gone"):
        next(stream)
