"""LPIPS against a formula written by hand, and the circle of pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coemogen_core.evaluation import lpips
from coemogen_core.evaluation.definitions import tolerance


def lpips_by_hand(x: list[np.ndarray], y: list[np.ndarray], weights: list[np.ndarray] | None) -> float:
    """Equation 1 of the paper, position by position; x and y are the layers [c, h, w] of one picture each."""
    total = 0.0
    for layer, (a, b) in enumerate(zip(x, y, strict=True)):
        w = np.ones(a.shape[0]) if weights is None else weights[layer]
        sums = [
            np.sum(w * (a[:, i, j] / np.linalg.norm(a[:, i, j]) - b[:, i, j] / np.linalg.norm(b[:, i, j])) ** 2)
            for i in range(a.shape[1])
            for j in range(a.shape[2])
        ]
        total += float(np.mean(sums))
    return total


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_the_formula(rng: np.random.Generator, weighted: bool) -> None:
    maps = [rng.normal(size=(4, 3, 5, 4)), rng.normal(size=(4, 7, 2, 2))]
    weights = [rng.uniform(size=3), rng.uniform(size=7)] if weighted else None
    pairs = lpips.circle_distances(iter(lpips.perceptual_vectors(maps, weights)), 4, neighbours=8)
    assert len(pairs.distance) == 6
    for left, right, value in zip(pairs.left, pairs.right, pairs.distance, strict=True):
        assert value == pytest.approx(lpips_by_hand([m[left] for m in maps], [m[right] for m in maps], weights), rel=tolerance("lpips"))


def test_orthogonal_channels_are_at_distance_two_per_layer() -> None:
    maps = np.zeros((2, 2, 3, 3))
    maps[0, 0] = maps[1, 1] = 5.0
    pairs = lpips.circle_distances(iter(lpips.perceptual_vectors([maps, maps])), 2, neighbours=3)
    assert lpips.mean_distance(pairs) == pytest.approx(4.0, rel=1e-6)


def test_silent_channels_give_zero_and_not_nan() -> None:
    pairs = lpips.circle_distances(iter(lpips.perceptual_vectors([np.zeros((3, 2, 4, 4))])), 3, neighbours=1)
    assert lpips.mean_distance(pairs) == 0.0


@settings(max_examples=60)
@given(st.integers(0, 30), st.integers(1, 20))
def test_every_image_takes_part_in_equally_many_distinct_pairs(count: int, neighbours: int) -> None:
    vectors = [np.array([i], np.float32) for i in range(count)]
    pairs = lpips.circle_distances(iter(vectors), count, neighbours)
    found = {frozenset(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}
    assert len(found) == len(pairs.left) == min(count * neighbours, count * (count - 1) // 2)
    assert all(len(pair) == 2 for pair in found)
    shares = np.bincount(np.concatenate([pairs.left, pairs.right]), minlength=count)
    assert count < 2 or (shares == min(2 * neighbours, count - 1)).all()
    assert np.array_equal(pairs.distance, (pairs.left - pairs.right).astype(np.float32) ** 2)


def test_the_interval_holds_the_mean_in_as_many_sets_as_it_says() -> None:
    """Every image stands in sixteen pairs. A bootstrap over images, pairs weighed by both, is a fifth too wide here: 98 %."""
    generator, emotions, held = np.random.default_rng(0), np.repeat([1, 4], 30), 0
    for _ in range(400):
        vectors = generator.normal(size=(60, 3)).astype(np.float32)
        found = [lpips.circle_distances(iter(vectors[emotions == emotion]), 30, 8) for emotion in (1, 4)]
        pairs = lpips.PairDistances(
            np.concatenate([found[0].left, found[1].left + 30]),
            np.concatenate([found[0].right, found[1].right + 30]),
            np.concatenate([found[0].distance, found[1].distance]),
        )
        interval = lpips.interval(pairs, emotions, np.full(60, True), 0.95)
        assert interval is not None
        held += interval.low <= 6 <= interval.high
    assert 0.93 <= held / 400 <= 0.97


def test_negative_or_missing_weights_are_refused() -> None:
    maps = [np.ones((1, 2, 1, 1))]
    with pytest.raises(ValueError, match="negative"):
        lpips.perceptual_vectors(maps, [np.array([1.0, -1.0])])
    with pytest.raises(ValueError, match="2 weight vectors for 1 layers"):
        lpips.perceptual_vectors(maps, [np.ones(2), np.ones(2)])
