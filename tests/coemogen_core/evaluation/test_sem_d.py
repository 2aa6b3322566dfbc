"""Sem-D in closed form against all pairs one by one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.evaluation import semantics
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.statistics import bootstrap


def brute_force(embeddings: np.ndarray) -> float:
    return float(np.mean([((x - y) ** 2).mean() for x, y in combinations(embeddings, 2)]))


@settings(max_examples=40)
@given(st.integers(2, 25), st.integers(1, 40), st.integers(0, 1000))
def test_closed_form_agrees_with_brute_force(count: int, dim: int, seed: int) -> None:
    embeddings = np.random.default_rng(seed).normal(size=(count, dim)) + 10
    assert semantics.mean_pair_difference(embeddings) == pytest.approx(brute_force(embeddings), rel=tolerance("sem_d"))


def test_unit_vectors_give_two_times_one_minus_the_mean_cosine_over_dimensions(rng: np.random.Generator) -> None:
    unit = rng.normal(size=(20, 12))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = np.mean([x @ y for x, y in combinations(unit, 2)])
    assert semantics.mean_pair_difference(unit) == pytest.approx(2 * (1 - cosine) / 12, rel=1e-9)


def test_resampled_values_leave_out_pairs_of_an_image_with_itself(rng: np.random.Generator) -> None:
    embeddings = rng.normal(size=(9, 5)) + 3
    counts = bootstrap.resample_counts(np.zeros(9, int), 20, seed=3)
    for row, value in zip(counts, semantics.resampled_differences(embeddings, counts), strict=True):
        drawn = np.repeat(np.arange(9), row.astype(int))
        expected = np.mean([((embeddings[i] - embeddings[j]) ** 2).mean() for i, j in combinations(drawn, 2) if i != j])
        assert value == pytest.approx(expected, rel=1e-9)


def test_one_image_has_no_diversity_and_identical_ones_have_zero() -> None:
    assert semantics.mean_pair_difference(np.ones((1, 4))) is None
    assert semantics.mean_pair_difference(np.ones((6, 4))) == 0.0
    assert np.isnan(semantics.resampled_differences(np.ones((3, 2)), np.array([[3.0, 0, 0]]))).all()
