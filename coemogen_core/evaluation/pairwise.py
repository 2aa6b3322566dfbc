"""Vectors at unit length, and squared distances between two sets, a block of rows at a time: a metric over all pairs in bounded memory."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Vectors = TypeVar("Vectors", NDArray[np.float32], NDArray[np.float64])

PAIR_LIMIT = 20_000
"""A larger set is thinned evenly to this many vectors: all pairs of 20,000 are 400 million, about a minute on two cores."""
BLOCK_VALUES = 4_000_000
ROUNDING = 1e-12
"""Share of the vectors' squared lengths below which a squared distance is that of equal vectors."""


def evenly_thinned(count: int, limit: int = PAIR_LIMIT) -> NDArray[np.intp]:
    """Indices of at most `limit` of `count` vectors at equal steps, so that sets sorted by emotion keep their shares."""
    return np.arange(count) if count <= limit else np.linspace(0, count - 1, limit).round().astype(np.intp)


def unit_length(vectors: Vectors) -> Vectors:
    """Vectors [n, d] at length 1; those of length 0 stay."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)


def squared_distances(rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Blocks of rows and their squared Euclidean distances [b, m] to all columns [m, d], in float64."""
    centre = columns.mean(axis=0, dtype=np.float64)  # far from the origin, products would lose the digits of small distances
    right = columns.astype(np.float64) - centre
    right_squares = np.einsum("md,md->m", right, right)
    step = max(1, BLOCK_VALUES // max(len(columns), 1))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        left = rows[part].astype(np.float64) - centre
        scale = np.einsum("nd,nd->n", left, left)[:, None] + right_squares
        distances = scale - 2 * left @ right.T
        distances[distances < ROUNDING * scale] = 0.0
        yield part, distances
