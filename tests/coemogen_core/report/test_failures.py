"""The choice of failures: nothing that was recognised, the worst first, and nobody picks the rest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.emotions import EMOTIONS
from coemogen_core.report.failures import find_misses


@given(st.integers(0, 60), st.integers(0, 10), st.integers(0, 999))
def test_only_misses_are_shown_each_once_and_the_worst_are_the_worst(images: int, count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities, wanted = generator.dirichlet(np.ones(8), images).reshape(images, 8), generator.integers(0, 8, images)
    found = find_misses(probabilities, wanted, count=count, seed=seed)
    missed = np.flatnonzero(probabilities.argmax(1) != wanted)
    assert (found.images, found.missed) == (images, len(missed))
    shown = [miss.row for miss in (*found.worst, *found.drawn)]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(missed.tolist())
    assert len(found.drawn) == min(count, len(missed) - len(found.worst))
    assert [miss.wanted for miss in found.worst] == [e for k, e in enumerate(EMOTIONS) if (wanted[missed] == k).any()]
    for miss in found.worst:
        own = [row for row in missed if EMOTIONS[wanted[row]] == miss.wanted]
        assert miss.wanted_probability == min(probabilities[row, wanted[row]] for row in own)
        assert miss.seen_probability == probabilities[miss.row].max() > miss.wanted_probability


def test_the_draw_follows_the_seed_alone() -> None:
    probabilities, wanted = np.tile(np.eye(8)[2], (80, 1)), np.arange(80) % 8
    first, again, other = (find_misses(probabilities, wanted, count=6, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.drawn != other.drawn
    assert first.worst == other.worst
