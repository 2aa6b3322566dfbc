"""Is a sample new, or nearly a training picture? Its nearest training pictures, measured against how near those are to each other.

Two distances, because either alone errs: the cosine similarity of CLIP embeddings (the same things are shown) and the pixels of reduced
pictures (in the same places and colours). A sample is called a near copy when it is nearer to its nearest training picture, by both, than
`PERCENTILE` of the training pictures are to their own nearest other one: by chance that befalls at most one in twenty of a generator that
draws exactly as the training pictures were drawn. A higher limit would see nothing in a corpus that holds some pictures twice.

Where the model was trained on mirrored pictures, too, these are searched as well, for the samples and for what is usual alike.

The training set is read part by part; only one part's vectors and the queries are in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from coemogen_core.data.decode import decode_image
from coemogen_core.evaluation.pairwise import unit_length

PERCENTILE = 0.95
SIDE = 32
"""Pictures are reduced to this square before their pixels are compared: what is left is layout and colour, not texture."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class VectorPart:
    """The embeddings of one part of the training set."""

    name: str
    image_ids: Sequence[str]
    vectors: Floats  # [n, d], of any length
    mirrored: Floats | None = None  # the same of the mirror images, where the model saw them

    def of(self, rows: Sequence[int]) -> "VectorPart":
        """Some of its pictures."""
        mirrored = None if self.mirrored is None else self.mirrored[rows]
        return VectorPart(self.name, [self.image_ids[row] for row in rows], self.vectors[rows], mirrored)


VectorParts = Callable[[], Iterable[VectorPart]]
"""Starts a pass over the training set, always in the same order."""


@dataclass(frozen=True)
class Neighbour:
    """The training picture nearest to a query."""

    part: str
    image_id: str
    similarity: float  # cosine, -1 to 1
    mirrored: bool = False  # whether it is the picture's mirror image that is near


def nearest_neighbours(queries: Floats, parts: Iterable[VectorPart], own_ids: Sequence[str] | None = None) -> list[Neighbour]:
    """The training picture of highest cosine similarity to every query.

    Args:
        queries: embeddings [q, d] of any length.
        parts: one pass over the training set.
        own_ids: image id of every query that is a training picture itself, and must find neither itself nor its mirror image.

    Raises:
        ValueError: the training set has no picture besides the query.
    """
    unit = unit_length(np.asarray(queries, dtype=np.float32))
    best = np.full(len(queries), -np.inf)
    where = [("", "", False)] * len(queries)
    for part in parts:
        if not len(part.image_ids):
            continue
        positions = {image_id: column for column, image_id in enumerate(part.image_ids)}
        own = [(row, positions[image_id]) for row, image_id in enumerate(own_ids or ()) if image_id in positions]
        for mirrored, vectors in enumerate((part.vectors, part.mirrored)):
            if vectors is None:
                continue
            similarities = unit @ unit_length(np.asarray(vectors, dtype=np.float32)).T
            for row, column in own:
                similarities[row, column] = -np.inf
            columns = similarities.argmax(axis=1)
            found = similarities[np.arange(len(unit)), columns]
            for row in np.flatnonzero(found > best).tolist():
                best[row], where[row] = found[row], (part.name, part.image_ids[columns[row]], bool(mirrored))
    if not np.isfinite(best).all():
        raise ValueError("the training set has no other picture to be near to: it needs two at least")
    return [Neighbour(part, image, float(value), mirrored) for (part, image, mirrored), value in zip(where, best, strict=True)]


def draw_training_pictures(parts: VectorParts, count: int, seed: int) -> tuple[list[Neighbour], Floats]:
    """Up to `count` training pictures (similarity 1, to themselves) and their embeddings [count, d]: a seeded draw, in the set's order."""
    total = sum(len(part.image_ids) for part in parts())
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    found, vectors, start = [], [], 0
    for part in parts():
        inside = chosen[(chosen >= start) & (chosen < start + len(part.image_ids))] - start
        found += [Neighbour(part.name, part.image_ids[row], 1.0) for row in inside.tolist()]
        vectors.append(np.asarray(part.vectors)[inside])
        start += len(part.image_ids)
    return found, np.concatenate(vectors) if vectors else np.empty((0, 0))


@dataclass(frozen=True)
class TypicalDistances:
    """How near training pictures are to their nearest other ones: what a sample's nearness is measured against."""

    similarities: NDArray[np.float64]  # [m]
    pixel_distances: NDArray[np.float64]  # [k], of some of them

    @property
    def similarity_limit(self) -> float:
        """The similarity that `PERCENTILE` of the training pictures stay below."""
        return float(np.quantile(self.similarities, PERCENTILE))

    @property
    def pixel_limit(self) -> float:
        """The pixel distance that `PERCENTILE` of them stay above."""
        return float(np.quantile(self.pixel_distances, 1 - PERCENTILE))

    def share_less_similar(self, similarity: float) -> float:
        """Share of the training pictures whose nearest other one is less similar than this, 0 to 1."""
        return float((self.similarities < similarity).mean())

    def is_near_copy(self, similarity: float, distance: float) -> bool:
        """Whether a sample is nearer, by both, than `PERCENTILE` of the training pictures are to theirs."""
        return similarity > self.similarity_limit and distance < self.pixel_limit


def pixel_distance(first: bytes, second: bytes, mirrored: bool = False) -> float:
    """Root mean squared difference of two encoded pictures, cut to a square and averaged down: 0 (equal) to 1 (black and white).

    Args:
        first: a picture.
        second: another one.
        mirrored: whether its mirror image is compared.

    Raises:
        UnreadableImage: one is no usable picture.
    """
    one, other = (_reduced(data) for data in (first, second))
    if mirrored:
        other = other[:, ::-1]
    return float(np.sqrt(np.mean((one - other) ** 2)))


def batched_ids(neighbours: Iterable[Neighbour]) -> Iterator[tuple[str, set[str]]]:
    """The wanted image ids part by part, so that every part is opened once."""
    by_part: dict[str, set[str]] = {}
    for neighbour in neighbours:
        by_part.setdefault(neighbour.part, set()).add(neighbour.image_id)
    yield from sorted(by_part.items())


def _reduced(data: bytes) -> NDArray[np.float64]:
    square = ImageOps.fit(decode_image(data), (SIDE, SIDE), method=Image.Resampling.BOX)
    return np.asarray(square, dtype=np.float64) / 255
