"""The map: principal components of the real pictures, the same axes for everybody."""

import numpy as np
import pytest

from coemogen_core.report.map import draw_rows, map_embeddings


def test_axes_are_those_of_the_singular_value_decomposition_and_do_not_depend_on_what_else_is_shown(rng: np.random.Generator) -> None:
    real, one, other = rng.normal(size=(50, 9)) * np.arange(9, 0, -1), rng.normal(size=(7, 9)), rng.normal(size=(5, 9))
    alone, both = map_embeddings([one], real), map_embeddings([real, other, one], real)
    assert alone is not None
    assert both is not None
    assert np.array_equal(alone.positions[0], both.positions[2])
    _, sizes, axes = np.linalg.svd(real - real.mean(0), full_matrices=False)
    assert np.abs(both.positions[1]) == pytest.approx(np.abs((other - real.mean(0)) @ axes[:2].T), abs=1e-9)
    assert both.variance == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum())


def test_identical_and_too_few_pictures() -> None:
    same = map_embeddings([np.ones((4, 3)), np.empty((0, 3))], np.ones((6, 3)))
    assert same is not None
    assert np.isfinite(same.positions[0]).all()
    assert (same.variance, same.positions[1].shape) == (0.0, (0, 2))
    assert map_embeddings([np.ones((2, 3))], np.ones((2, 3))) is None


def test_every_emotion_has_its_share_of_the_points() -> None:
    emotions = np.repeat([5, 0, 7], [30, 3, 12])
    rows = draw_rows(emotions, 10, seed=0)
    assert np.bincount(emotions[rows], minlength=8).tolist() == [3, 0, 0, 0, 0, 10, 0, 10]
    assert np.array_equal(rows, draw_rows(emotions, 10, seed=0))
    assert not np.array_equal(rows, draw_rows(emotions, 10, seed=1))
