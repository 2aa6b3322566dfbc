"""The real images that all emotions together are compared with: equally many of every emotion.

A corpus has more photos of one emotion than of another, and a generator is asked for equally many. Compared with the corpus as it is, a
perfect generator would have a FID above that of real images, precise pictures of rare emotions would lie in large balls, and a method
could gain by failing at a rare emotion. Protocol "emogen" compares with the corpus as it is, as the public evaluation code does.
"""

import numpy as np
from numpy.typing import NDArray

from coemogen_core.evaluation.recipe import EvaluationRecipe


def balanced_rows(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> NDArray[np.intp]:
    """Indices, in order, of as many images of every emotion as its rarest one has: a draw with the recipe's seed.

    All of them where they are balanced already, and under protocol "emogen".

    Args:
        emotions: of all images, [n].
        recipe: its protocol and seed.
    """
    present, counts = np.unique(emotions, return_counts=True)
    if recipe.protocol == "emogen" or len(present) == 0:
        return np.arange(len(emotions))
    drawn = [
        np.random.default_rng((recipe.seed, emotion)).permutation(np.flatnonzero(emotions == emotion))[: counts.min()]
        for emotion in present.tolist()
    ]
    return np.sort(np.concatenate(drawn))


def drawn_of_each(emotions: NDArray[np.integer], recipe: EvaluationRecipe) -> int | None:
    """How many images of each emotion `balanced_rows` takes; None where it takes all."""
    rows = balanced_rows(emotions, recipe)
    return len(rows) // len(np.unique(emotions)) if len(rows) < len(emotions) else None


def shares_kept(groups: NDArray[np.integer], wanted: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Indices, in order, of so many things, drawn such that every group keeps its share to within one."""
    order = generator.permutation(len(groups))
    places = np.empty(len(groups))
    for group in np.unique(groups):
        own = order[groups[order] == group]
        places[own] = (np.arange(len(own)) + generator.random()) / len(own)
    return np.sort(np.argsort(places, kind="stable")[:wanted])
