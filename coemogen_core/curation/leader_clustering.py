"""Leader clustering: the first of a list of vectors leads a group, every later one joins the nearest leader within reach or leads another.

Linear but for the index's logarithm, needs no number of groups, builds no chains (every member is within reach of its leader), and its
leaders are the first of their groups, so the order of the list says what is kept. The nearest leaders come from usearch's HNSW index:
half precision, no BLAS or OpenMP of its own that would quarrel with torch's, and building it on one thread gives the same graph every time.
The index only proposes; distances are computed here in double precision, so no answer hangs on its arithmetic or on a number of threads.
"""

import numpy as np
from usearch.index import Index, MetricKind, ScalarKind

BLOCK = 1024  # vectors that are looked up together
NEAREST = 4  # leaders that the index proposes
EXACT_UP_TO = 2_000  # leaders: below, every one is looked at
MARGIN = 2e-3  # of single-precision products of half-precision vectors, which only propose too


def cluster_by_leader(vectors: np.ndarray, max_distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Give every vector its leader.

    Args:
        vectors: [n, dim], float16, none of length zero, best first; may be a memory map: it is read in blocks, leaders now and then.
        max_distance: reach, as cosine distance (1 - cosine), inclusive.

    Returns:
        Index of the leader, int64 [n] (leaders: their own), and the distance to it, float32 [n].
    """
    count, dim = vectors.shape
    leader, distance = np.arange(count), np.zeros(count, np.float32)
    index = Index(ndim=dim, metric=MetricKind.Cos, dtype=ScalarKind.F16, connectivity=16, expansion_add=64, expansion_search=64)
    for start in range(0, count, BLOCK):
        block = np.array(vectors[start : start + BLOCK])
        known = _nearest_known(index, block)
        within = _proposed_within(block, max_distance)
        for row in range(len(block)):
            proposed = np.concatenate([known[row], start + np.flatnonzero(within[row])])
            proposed = np.unique(proposed[leader[proposed] == proposed])
            if not len(proposed):
                continue
            distances = _distances(block[row], vectors[proposed])
            best = int(distances.argmin())  # of equals the first, which comes first in the list
            if distances[best] <= max_distance:
                leader[start + row], distance[start + row] = proposed[best], distances[best]
        new = start + np.flatnonzero(leader[start : start + len(block)] == np.arange(start, start + len(block)))
        index.add(new, block[new - start], threads=1)
    return leader, distance


def _nearest_known(index: Index, block: np.ndarray) -> list[np.ndarray]:
    """Leaders of earlier blocks that may be the nearest, of each vector of a block."""
    if not len(index):
        return [np.empty(0, np.int64)] * len(block)
    nearest = min(NEAREST, len(index))
    matches = index.search(block, nearest, threads=0, exact=len(index) <= EXACT_UP_TO)
    return list(np.asarray(matches.keys).astype(np.int64).reshape(len(block), nearest))


def _proposed_within(block: np.ndarray, max_distance: float) -> np.ndarray:
    """Which earlier vectors of its block each vector may be within reach of, bool [b, b]."""
    single = block.astype(np.float32)
    single /= np.linalg.norm(single, axis=1, keepdims=True)
    return np.tril(single @ single.T >= 1.0 - max_distance - MARGIN, -1)


def _distances(vector: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosine distances of one vector [dim] to others [n, dim] in double precision, in [0, 2]."""
    one, many = vector.astype(np.float64), others.astype(np.float64)
    lengths = np.sqrt(np.einsum("d,d->", one, one) * np.einsum("nd,nd->n", many, many))
    return np.clip(1.0 - np.einsum("nd,d->n", many, one) / lengths, 0.0, 2.0)
