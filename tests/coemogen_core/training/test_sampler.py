from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.training.batches import ClassBalancedSampler

labels = st.lists(st.integers(0, 7), min_size=1, max_size=60).map(torch.tensor)


@given(labels, st.integers(0, 2**31), st.integers(1, 200))
def test_classes_and_rows_come_evenly_at_any_length(labels, seed, length):
    rows = ClassBalancedSampler(labels, seed).rows(0, length)
    classes = Counter(labels[rows].tolist())
    present = sorted(set(labels.tolist()))
    counts = [classes[label] for label in present]
    assert max(counts) - min(counts) <= 1
    drawn = Counter(rows)
    for label in present:
        own = [drawn[index] for index, value in enumerate(labels.tolist()) if value == label]
        assert max(own) - min(own) <= 1


@given(labels, st.integers(0, 100), st.integers(0, 100), st.integers(0, 50))
def test_any_stretch_is_the_same_however_it_is_reached(labels, seed, start, count):
    whole = ClassBalancedSampler(labels, seed).rows(0, start + count)
    assert ClassBalancedSampler(labels, seed).rows(start, count) == whole[start:]


def test_seeds_give_different_orders():
    labels = torch.arange(80) % 8
    assert ClassBalancedSampler(labels, 0).rows(0, 80) != ClassBalancedSampler(labels, 1).rows(0, 80)


def test_an_empty_corpus_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        ClassBalancedSampler(torch.zeros(0, dtype=torch.long), 0)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), min_size=1, max_size=60), st.integers(0, 2**31), st.integers(1, 200))
def test_corpora_come_evenly_within_every_class(rows, seed, length):
    labels, corpora = (torch.tensor(column) for column in zip(*rows, strict=True))
    drawn = ClassBalancedSampler(labels, seed, corpora=corpora).rows(0, length)
    for label in set(labels.tolist()):
        seen = Counter(rows[row][1] for row in drawn if rows[row][0] == label)
        counts = [seen[corpus] for corpus in {corpus for own, corpus in rows if own == label}]
        assert max(counts) - min(counts) <= 1
    classes = Counter(labels[drawn].tolist())
    counts = [classes[label] for label in set(labels.tolist())]
    assert max(counts) - min(counts) <= 1


def test_a_round_is_not_of_one_corpus():
    labels, corpora = torch.arange(160) % 8, torch.arange(160) // 80
    rows = ClassBalancedSampler(labels, 0, corpora=corpora).rows(0, 8)
    assert set(corpora[rows].tolist()) == {0, 1}


@given(labels, st.integers(0, 2**31), st.integers(1, 60))
def test_one_corpus_is_dealt_as_without_corpora(labels, seed, length):
    alone = ClassBalancedSampler(labels, seed).rows(0, length)
    assert ClassBalancedSampler(labels, seed, corpora=torch.zeros_like(labels)).rows(0, length) == alone
