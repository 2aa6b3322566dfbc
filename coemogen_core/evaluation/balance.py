"""The images that are compared where all emotions are compared together: equally many of every emotion, real and generated.

A corpus has more photos of one emotion than of another, and a generator is asked for equally many. Compared with the corpus as it is, a
perfect generator would have a FID above that of real images, precise pictures of rare emotions would lie in large balls, and a method
could gain by failing at a rare emotion. Protocol "emogen" compares with the corpus as it is, as the public evaluation code does.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.recipe import EvaluationRecipe

LEAST_SHARE = 4
"""an emotion that has less than one part in so many of an emotion's mean does not set how many the others give: a single picture of
awe beside thousands of fear would leave one of each"""


def balanced_rows(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> NDArray[np.intp]:
    """Indices, in order, of as many images of every emotion as its rarest one has: a draw with the recipe's seed.

    All of them where they are balanced already, and under protocol "emogen". An emotion that has hardly any (`LEAST_SHARE`) gives
    all it has, and the others more.

    Args:
        emotions: of all images, [n].
        recipe: its protocol and seed.
    """
    present, counts = np.unique(emotions, return_counts=True)
    if recipe.protocol == "emogen" or len(present) == 0:
        return np.arange(len(emotions))
    drawn = [
        np.random.default_rng((recipe.seed, emotion)).permutation(np.flatnonzero(emotions == emotion))[: _wanted(counts)]
        for emotion in present.tolist()
    ]
    return np.sort(np.concatenate(drawn))


def drawn_of_each(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> int | None:
    """How many images of each emotion `balanced_rows` takes; None where it takes all."""
    if len(balanced_rows(emotions, recipe)) == len(emotions):
        return None
    return _wanted(np.unique(emotions, return_counts=True)[1])


def short_emotions(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> Mapping[Emotion, int]:
    """Emotions that have fewer images than `balanced_rows` takes of the others, and how many they have."""
    wanted, (present, counts) = drawn_of_each(emotions, recipe), np.unique(emotions, return_counts=True)
    return {EMOTIONS[emotion]: count for emotion, count in zip(present.tolist(), counts.tolist(), strict=True) if count < (wanted or 0)}


def _wanted(counts: NDArray[np.integer]) -> int:
    return max(int(counts.min()), math.ceil(counts.mean() / LEAST_SHARE))


def shares_kept(groups: NDArray[np.integer], wanted: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Indices, in order, of so many things, drawn such that every group keeps its share to within one."""
    order = generator.permutation(len(groups))
    places = np.empty(len(groups))
    for group in np.unique(groups):
        own = order[groups[order] == group]
        places[own] = (np.arange(len(own)) + generator.random()) / len(own)
    return np.sort(np.argsort(places, kind="stable")[:wanted])
