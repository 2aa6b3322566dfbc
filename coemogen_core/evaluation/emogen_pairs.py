"""The diversity pairs of protocol "emogen": ten random pairs an emotion, out of a list that keeps the emotions before it.

EmoGen's public code collects the paths of an emotion's images in a list that is never emptied, so only the first emotion's pairs stay
within it: of the last one's, seven eighths join two emotions when all are equally frequent. The draw is unseeded there; here it comes
from the recipe's seed, so that a number can be repeated. One draw serves LPIPS and Sem-D.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from coemogen_core.data.decode import UnreadableImage
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.extractors import ExtractorSet, decode_rgb
from coemogen_core.evaluation.lpips import perceptual_vectors
from coemogen_core.statistics.dyads import Pairs, pair_interval
from schemas.metrics import Interval

PAIRS_PER_EMOTION = 10
SPARE_DRAWS = 3
"""A pair with an unreadable picture is replaced by the next draw, up to this many times ten."""

Place = tuple[int, int]
"""Index of an emotion in EMOTIONS, and the number of one of its pictures."""
PlacePair = tuple[Place, Place]


class PictureAccess(Protocol):
    """A labelled picture set of which single pictures can be had."""

    def counts(self) -> list[int]:
        """Pictures of every emotion, [8]."""

    def load(self, places: Sequence[Place]) -> list[bytes]:
        """The encoded pictures at some places, in their order."""


@dataclass(frozen=True)
class PairMeasurements:
    """Both diversity metrics of p pairs."""

    emotions: NDArray[np.int64]  # [p], index of the emotion that a pair was drawn for
    lpips: NDArray[np.float64]  # [p]
    sem_d: NDArray[np.float64]  # [p]
    left: NDArray[np.int64]  # [p], number of a picture among those of all emotions
    right: NDArray[np.int64]  # [p]

    def interval(self, name: str, level: float, emotion: int | None = None) -> Interval | None:
        """Of "lpips" or "sem_d": of all emotions, or of one."""
        members = np.full(len(self.emotions), True) if emotion is None else self.emotions == emotion
        return pair_interval(getattr(self, name)[members], Pairs(self.left, self.right, self.emotions).of(members), level)


def measure_pairs(pictures: PictureAccess, extractors: ExtractorSet, seed: int) -> PairMeasurements:
    """Draw and measure the pairs of all emotions; emotions without a picture, or before there are two, have none."""
    counts = pictures.counts()
    starts = np.cumsum([0, *counts])
    emotions: list[int] = []
    measured: list[tuple[PlacePair, float, float]] = []
    for emotion, draws in enumerate(draw_pairs(counts, seed)):
        found = list(_measure(pictures, draws, extractors))
        emotions += [emotion] * len(found)
        measured += found
    numbers = np.array([[starts[emotion] + number for emotion, number in pair] for pair, _, _ in measured], np.int64).reshape(-1, 2)
    values = np.array([some for _, *some in measured], np.float64).reshape(-1, 2)
    return PairMeasurements(np.array(emotions, np.int64), values[:, 0], values[:, 1], numbers[:, 0], numbers[:, 1])


def draw_pairs(counts: Sequence[int], seed: int) -> list[list[PlacePair]]:
    """Candidate pairs of every emotion, the first ten of which count: two different pictures out of this emotion and all before it.

    Args:
        counts: pictures of every emotion, [8].
        seed: of the draws.
    """
    ends = np.cumsum(counts)
    pairs: list[list[PlacePair]] = []
    for emotion in range(len(EMOTIONS)):
        pool = int(ends[emotion])
        generator = np.random.default_rng((seed, emotion))
        wanted = SPARE_DRAWS * PAIRS_PER_EMOTION if counts[emotion] and pool > 1 else 0
        drawn = [generator.choice(pool, 2, replace=False).tolist() for _ in range(wanted)]
        pairs.append([(_place(first, ends), _place(second, ends)) for first, second in drawn])
    return pairs


def _place(index: int, ends: NDArray[np.integer]) -> Place:
    """The place of a picture by its number in the list of all emotions."""
    emotion = int(np.searchsorted(ends, index, side="right"))
    return emotion, index - (int(ends[emotion - 1]) if emotion else 0)


def _measure(pictures: PictureAccess, draws: Sequence[PlacePair], extractors: ExtractorSet) -> Iterator[tuple[PlacePair, float, float]]:
    """Places, LPIPS and Sem-D of the first ten pairs of which both pictures can be read."""
    found = 0
    for start in range(0, len(draws), PAIRS_PER_EMOTION):
        if found == PAIRS_PER_EMOTION:
            return
        some = draws[start : start + PAIRS_PER_EMOTION]
        loaded = pictures.load([place for pair in some for place in pair])
        for index, pair in enumerate(some):
            if found < PAIRS_PER_EMOTION and (values := _pair(loaded[2 * index : 2 * index + 2], extractors)) is not None:
                found += 1
                yield pair, *values


def _pair(encoded: Sequence[bytes], extractors: ExtractorSet) -> tuple[float, float] | None:
    try:
        batch = [decode_rgb(data) for data in encoded]
    except UnreadableImage:
        return None
    trunk = extractors.perceptual
    first, second = perceptual_vectors(trunk.feature_maps(batch), trunk.layer_weights).astype(np.float64)
    one, other = extractors.clip.embeddings(batch).astype(np.float64)
    return float(((first - second) ** 2).sum()), float(((one - other) ** 2).mean())
