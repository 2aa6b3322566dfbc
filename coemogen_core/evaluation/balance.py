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
"""an emotion that has less than one part in so many of what emotions usually have does not set how many the others give: a single picture
of awe beside thousands of fear would leave one of each"""


def balanced_rows(emotions: NDArray[np.integer], recipe: EvaluationRecipe, others: NDArray[np.integer] | None = None) -> NDArray[np.intp]:
    """Indices, in order, of equally many images of every emotion: a draw with the recipe's seed.

    As many as the rarest emotion has. One that has hardly any (`LEAST_SHARE`) gives what it has and the others give more; the images that
    are compared with these, drawn by the same function, then hold it as seldom. All images under protocol "emogen".

    Args:
        emotions: of all images, [n].
        recipe: its protocol and seed.
        others: of the images that they are compared with, [m]; None where nothing is.
    """
    if recipe.protocol == "emogen" or len(emotions) == 0:
        return np.arange(len(emotions))
    shares = np.minimum(_shares(emotions), 1.0 if others is None or len(others) == 0 else _shares(others))
    wanted = np.ceil(shares * _usual(emotions) - 1e-9).astype(int)
    drawn = [
        np.random.default_rng((recipe.seed, emotion)).permutation(np.flatnonzero(emotions == emotion))[: wanted[emotion]]
        for emotion in np.unique(emotions).tolist()
    ]
    return np.sort(np.concatenate(drawn))


def drawn_of_each(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> int | None:
    """How many images of each emotion `balanced_rows` takes at most; None where it takes all."""
    return None if len(balanced_rows(emotions, recipe)) == len(emotions) else _usual(emotions)


def short_emotions(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> Mapping[Emotion, int]:
    """Emotions that have fewer images than `balanced_rows` takes of the others, and how many they have."""
    wanted, (present, counts) = drawn_of_each(emotions, recipe), np.unique(emotions, return_counts=True)
    return {EMOTIONS[emotion]: count for emotion, count in zip(present.tolist(), counts.tolist(), strict=True) if count < (wanted or 0)}


def _usual(emotions: NDArray[np.integer]) -> int:
    """How many images an emotion that is not short gives."""
    _, counts = np.unique(emotions, return_counts=True)
    return max(int(counts.min()), math.ceil(np.median(counts) / LEAST_SHARE))


def _shares(emotions: NDArray[np.integer]) -> NDArray[np.float64]:
    """Of every emotion [8], the share of `_usual` that there is, at most 1; 1 for one that is not there."""
    counts = np.bincount(emotions, minlength=len(EMOTIONS))
    return np.where(counts > 0, np.minimum(counts / _usual(emotions), 1.0), 1.0)


def shares_kept(groups: NDArray[np.integer], wanted: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Indices, in order, of so many things, drawn such that every group keeps its share to within one."""
    order = generator.permutation(len(groups))
    places = np.empty(len(groups))
    for group in np.unique(groups):
        own = order[groups[order] == group]
        places[own] = (np.arange(len(own)) + generator.random()) / len(own)
    return np.sort(np.argsort(places, kind="stable")[:wanted])
