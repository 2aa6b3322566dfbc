"""The choice of failures: nothing that was recognised, the worst first, and nobody picks the rest."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.report.failures import choose_misses


@given(st.integers(0, 60), st.integers(0, 10), st.integers(0, 999))
def test_only_misses_are_shown_each_once_and_the_worst_are_the_worst(images: int, count: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities, wanted = generator.dirichlet(np.ones(8), images).reshape(images, 8), generator.integers(0, 8, images)
    worst, drawn, number = choose_misses(probabilities, wanted, count=count, seed=seed)
    missed = np.flatnonzero(probabilities.argmax(1) != wanted)
    assert number == len(missed)
    shown = [*worst, *drawn]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(missed.tolist())
    assert len(drawn) == min(count, len(missed) - len(worst))
    assert [wanted[row] for row in worst] == [k for k in range(8) if (wanted[missed] == k).any()]
    for row in worst:
        own = [other for other in missed if wanted[other] == wanted[row]]
        assert probabilities[row, wanted[row]] == min(probabilities[other, wanted[other]] for other in own)


def test_the_draw_follows_the_seed_alone() -> None:
    probabilities, wanted = np.tile(np.eye(8)[2], (80, 1)), np.arange(80) % 8
    first, again, other = (choose_misses(probabilities, wanted, count=6, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first[1] != other[1]
    assert first[0] == other[0]
