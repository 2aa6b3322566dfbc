"""CMMD against its definition pair by pair, and what an unbiased estimate must do."""

from itertools import combinations, product

import numpy as np
import pytest

from coemogen_core.evaluation import cmmd, pairwise
from coemogen_core.evaluation.definitions import tolerance


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.exp(-np.sum((x - y) ** 2) / (2 * cmmd.SIGMA**2)))


def by_definition(generated: np.ndarray, reference: np.ndarray) -> float:
    x, y = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (generated, reference))
    within = [np.mean([kernel(a, b) for a, b in combinations(vectors, 2)]) for vectors in (x, y)]
    return float(1000 * (within[0] + within[1] - 2 * np.mean([kernel(a, b) for a, b in product(x, y)])))


def discrepancy(generated: np.ndarray, reference: np.ndarray) -> float:
    return cmmd.discrepancy(generated, reference).value


@pytest.fixture
def sets(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(23, 12)) + 0.5, rng.normal(size=(17, 12))


def test_agrees_with_the_definition(sets: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_definition(*sets)
    assert discrepancy(*sets) == pytest.approx(expected, rel=tolerance("cmmd"))
    monkeypatch.setattr(pairwise, "BLOCK_VALUES", 40)  # two rows a block
    assert discrepancy(*sets) == pytest.approx(expected, rel=tolerance("cmmd"))
    assert discrepancy(*(7 * vectors for vectors in sets)) == pytest.approx(expected, rel=tolerance("cmmd"))


def test_single_precision_embeddings_keep_six_digits(sets: tuple[np.ndarray, np.ndarray]) -> None:
    assert discrepancy(*(vectors.astype(np.float32) for vectors in sets)) == pytest.approx(by_definition(*sets), rel=1e-5)


def test_it_is_zero_on_average_between_samples_of_one_distribution(rng: np.random.Generator) -> None:
    values = [discrepancy(rng.normal(size=(12, 8)), rng.normal(size=(30, 8))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert min(values) < 0 < max(values)


def test_the_distance_of_two_points() -> None:
    same, opposite = np.tile([1.0, 0.0], (5, 1)), np.tile([-3.0, 0.0], (4, 1))
    assert discrepancy(same, same[:3]) == 0.0
    assert discrepancy(same, opposite) == pytest.approx(2000 * (1 - np.exp(-4 / 200)), rel=1e-12)


def test_the_values_without_an_image_are_those_of_the_others(rng: np.random.Generator) -> None:
    generated, reference = rng.normal(size=(9, 5)), rng.normal(size=(11, 5)) + 1
    expected = [discrepancy(np.delete(generated, index, axis=0), reference) for index in range(9)]
    assert cmmd.discrepancy(generated, reference).left_out == pytest.approx(expected, rel=1e-9)
    assert not np.isfinite(cmmd.discrepancy(generated[:2], reference).left_out).any(), "one image makes no pair"


def test_too_few_or_different_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 2 vectors"):
        discrepancy(np.ones((1, 4)), np.ones((9, 4)))
    with pytest.raises(ValueError, match="equal width"):
        discrepancy(np.ones((3, 4)), np.ones((9, 5)))


def test_large_sets_are_thinned_evenly() -> None:
    assert pairwise.evenly_thinned(5).tolist() == [0, 1, 2, 3, 4]
    thinned = pairwise.evenly_thinned(1000, limit=11)
    assert (thinned[0], thinned[-1], len(set(thinned))) == (0, 999, 11)
    assert np.ptp(np.diff(thinned)) <= 1
