"""The real images that all emotions together are compared with."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coemogen_core.evaluation.balance import balanced_rows, drawn_of_each, shares_kept
from coemogen_core.evaluation.distributions import compare_distributions
from coemogen_core.evaluation.features import ImageFeatures, empty_features
from coemogen_core.evaluation.recipe import EvaluationRecipe

RECIPE = EvaluationRecipe()
EMOGEN = EvaluationRecipe(protocol="emogen")
NETWORKS: Any = SimpleNamespace(fid=SimpleNamespace(identity="a"), clip=SimpleNamespace(identity="b"))


def pictures(counts: list[int], seed: int) -> ImageFeatures:
    """Emotions far from each other, so that their shares show in every metric."""
    generator, emotions = np.random.default_rng(seed), np.repeat(np.arange(8), counts)
    vectors = (generator.normal(size=(len(emotions), 8)) + 4 * np.eye(8)[emotions]).astype(np.float32)
    return replace(empty_features(1), emotions=emotions.astype(np.uint8), fid=vectors, embeddings=vectors)


def test_as_many_of_every_emotion_as_of_the_rarest_drawn_with_the_seed() -> None:
    emotions = np.repeat([0, 3, 5], [50, 20, 90])
    rows = balanced_rows(emotions, RECIPE)
    assert np.unique(emotions[rows], return_counts=True)[1].tolist() == [20, 20, 20]
    assert np.array_equal(rows, balanced_rows(emotions, RECIPE))
    assert not np.array_equal(rows, balanced_rows(emotions, RECIPE.model_copy(update={"seed": 1})))
    assert (drawn_of_each(emotions, RECIPE), drawn_of_each(emotions[rows], RECIPE)) == (20, None)
    assert np.array_equal(balanced_rows(emotions[rows], RECIPE), np.arange(60))


def test_protocol_emogen_compares_with_the_corpus_as_it_is() -> None:
    emotions = np.repeat([0, 3], [50, 20])
    assert np.array_equal(balanced_rows(emotions, EMOGEN), np.arange(70))
    assert drawn_of_each(emotions, EMOGEN) is None


def test_a_perfect_generator_of_even_sets_is_no_worse_for_an_uneven_corpus() -> None:
    generated = pictures([60] * 8, 1)
    uneven, even = pictures([700, 60, 60, 60, 60, 60, 60, 60], 2), pictures([60] * 8, 2)
    found, expected, as_it_is = (
        compare_distributions(generated, real, NETWORKS, recipe).overall
        for real, recipe in ((uneven, RECIPE), (even, RECIPE), (uneven, EMOGEN))
    )
    assert found["fid"].value == pytest.approx(expected["fid"].value, rel=0.3)
    assert found["kid"].low < 0 < found["kid"].high  # type: ignore[operator]
    assert abs(found["cmmd"].value) < 0.3  # type: ignore[arg-type]
    assert found["coverage"].value == pytest.approx(expected["coverage"].value, abs=0.05)
    assert as_it_is["fid"].value > 3 * found["fid"].value  # type: ignore[operator]
    assert as_it_is["kid"].low > 0  # type: ignore[operator]


def test_a_draw_of_a_part_keeps_every_share_to_within_one(rng: np.random.Generator) -> None:
    groups = np.repeat([0, 1, 2], [7, 100, 33])
    for wanted in (1, 10, 70, 139):
        drawn = np.bincount(groups[shares_kept(groups, wanted, rng)], minlength=3)
        assert drawn.sum() == wanted
        assert (abs(drawn - wanted * np.array([7, 100, 33]) / 140) <= 1).all()
