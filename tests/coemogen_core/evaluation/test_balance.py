"""The images that are compared where all emotions are compared together."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coemogen_core.evaluation.balance import balanced_rows, drawn_of_each, shares_kept, short_emotions
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


def test_a_single_picture_of_an_emotion_does_not_shrink_the_set_to_one_of_each() -> None:
    emotions = np.repeat(np.arange(8), [1, *[100] * 7])
    rows = balanced_rows(emotions, RECIPE)
    assert np.bincount(emotions[rows]).tolist() == [1, *[25] * 7]
    assert drawn_of_each(emotions, RECIPE) == 25
    assert short_emotions(emotions, RECIPE) == {"amusement": 1}
    assert short_emotions(np.repeat([0, 3, 5], [50, 20, 90]), RECIPE) == {}
    assert short_emotions(emotions, EMOGEN) == {}


def test_a_common_emotion_makes_no_other_one_rare() -> None:
    emotions = np.repeat(np.arange(8), [*[10] * 7, 400])
    assert np.bincount(emotions[balanced_rows(emotions, RECIPE)]).tolist() == [10] * 8
    assert short_emotions(emotions, RECIPE) == {}


@pytest.mark.parametrize("real_is_short", [True, False])
def test_a_perfect_generator_is_none_the_worse_for_an_emotion_of_few_images(real_is_short: bool) -> None:
    found = []
    for seed in range(4):
        short, even = pictures([5, *[200] * 7], 2 * seed), pictures([60] * 8, 2 * seed + 1)
        generated, real = (even, short) if real_is_short else (short, even)
        overall = compare_distributions(generated, real, NETWORKS, RECIPE).overall
        found.append((overall["kid"].value, overall["cmmd"].value))
        shares = [np.bincount(s.emotions[balanced_rows(s.emotions, RECIPE, o.emotions)]) for s, o in ((short, even), (even, short))]
        assert [counts[0] / counts[1] for counts in shares] == pytest.approx([0.1, 0.1])
    kid, cmmd = np.mean(found, axis=0)
    assert -0.3 < kid < 0.05  # equal shares push it a little below 0; where the other side is even it is 0.24 to 0.36
    assert abs(cmmd) < 0.05


def test_generated_images_that_are_uneven_are_compared_evenly_too() -> None:
    real, uneven, even = pictures([60] * 8, 1), pictures([700, *[60] * 7], 2), pictures([60] * 8, 2)
    found, expected, as_it_is = (
        compare_distributions(generated, real, NETWORKS, recipe).overall
        for generated, recipe in ((uneven, RECIPE), (even, RECIPE), (uneven, EMOGEN))
    )
    assert found["fid"].value == pytest.approx(expected["fid"].value, rel=0.3)
    assert found["kid"].low < 0 < found["kid"].high  # type: ignore[operator]
    assert (found["fid"].images, as_it_is["fid"].images) == (480, 1120)
    assert as_it_is["fid"].value > 3 * found["fid"].value  # type: ignore[operator]


def test_a_number_without_an_interval_says_why() -> None:
    few, real = pictures([6, 0, 0, 0, 0, 0, 0, 0], 1), pictures([60, 0, 0, 0, 0, 0, 0, 0], 2)
    recall = compare_distributions(few, real, NETWORKS, RECIPE).overall["recall"]
    assert (recall.value is not None, recall.low) == (True, None)
    assert recall.reason is not None
    assert recall.reason.startswith("not enough images for an interval")


def test_real_images_that_lie_together_say_no_more_than_as_many_apart(rng: np.random.Generator) -> None:
    """Half of the real images lie in one place that is met by many: no image that is left out changes recall or coverage."""
    emotions = np.zeros(200, dtype=np.uint8)
    real = 0.01 * rng.normal(size=(200, 8)) + 100 * (np.arange(200) % 2)[:, None] * np.eye(8)[0]
    vectors = [values.astype(np.float32) for values in (0.01 * rng.normal(size=(200, 8)), real)]
    met, lonely = (replace(empty_features(1), emotions=emotions, fid=values, embeddings=values) for values in vectors)
    found = compare_distributions(met, lonely, NETWORKS, RECIPE).overall
    for name in ("recall", "coverage"):
        low, high = found[name].low, found[name].high  # type: ignore[literal-required]
        assert found[name].value == pytest.approx(0.5, abs=0.12)  # type: ignore[index]
        assert high - low > 0.12  # of 200 images by themselves: 0.137
