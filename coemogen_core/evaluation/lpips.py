"""LPIPS within an emotion: the mean perceptual distance of two of its images (Zhang et al. 2018, equation 1).

    d(x, y) = sum over layers of the mean over positions of sum_c w_c (x_c - y_c)^2

with x, y unit-normalised over channels at every position. Scaled by sqrt(w_c / (h w)) and laid end to end, the layers
of one image become one vector, and d is the squared Euclidean distance of two such vectors.

Pairs: the images of an emotion are shuffled once (seeded) and set in a circle; every image is paired with its next
`neighbours` followers. So every image takes part in equally many pairs, no pair occurs twice, its feature maps are computed
once, and only a window of `neighbours` vectors is in memory.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.statistics.dyads import Pairs, pair_interval
from schemas.metrics import Interval

EPSILON = 1e-10  # as in the lpips package


@dataclass(frozen=True)
class PairDistances:
    """Distances [p] of pairs of images, by their indices `left` and `right` [p]."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    distance: NDArray[np.float32]

    def of(self, members: NDArray[np.bool_]) -> "PairDistances":
        """The pairs whose left image is one of `members` [n] (both images of a pair share their emotion)."""
        chosen = members[self.left]
        return PairDistances(self.left[chosen], self.right[chosen], self.distance[chosen])


def perceptual_vectors(
    feature_maps: Sequence[NDArray[np.floating]], layer_weights: Sequence[NDArray[np.floating]] | None = None
) -> NDArray[np.float32]:
    """One vector per image whose squared Euclidean distances are LPIPS distances.

    Args:
        feature_maps: activations of every layer, [n, c, h, w] each.
        layer_weights: non-negative linear weights [c] of every layer; None means 1.

    Returns:
        Vectors [n, sum of c h w].

    Raises:
        ValueError: a linear weight is negative, or their number does not fit.
    """
    if layer_weights is not None and len(layer_weights) != len(feature_maps):
        raise ValueError(f"{len(layer_weights)} weight vectors for {len(feature_maps)} layers")
    layers = []
    for index, maps in enumerate(feature_maps):
        norms = np.sqrt(np.square(maps, dtype=np.float32).sum(axis=1, keepdims=True))
        scale = np.ones(maps.shape[1], np.float32) if layer_weights is None else np.asarray(layer_weights[index], np.float32).ravel()
        if (scale < 0).any():
            raise ValueError(f"linear weights of layer {index} hold negative numbers: LPIPS is a distance only without")
        scale = np.sqrt(scale / (maps.shape[2] * maps.shape[3]))
        layers.append((maps / (norms + EPSILON) * scale[None, :, None, None]).reshape(len(maps), -1))
    return np.concatenate(layers, axis=1)


def circle_distances(vectors: Iterable[NDArray[np.float32]], count: int, neighbours: int) -> PairDistances:
    """Distances of every image to its next followers on the circle.

    Args:
        vectors: perceptual vectors [D] of the `count` images in circle order.
        count: images on the circle.
        neighbours: followers per image; at half of the circle all pairs are complete and no more are made.

    Returns:
        Pairs by position on the circle: `count * neighbours` of them, or all `count * (count - 1) / 2`.
    """
    reach = min(neighbours, count // 2)
    window: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=reach)
    head: list[NDArray[np.float32]] = []
    table: dict[tuple[int, int], float] = {}
    for position, vector in enumerate(vectors):
        table.update({(before, position): _distance(other, vector) for before, other in window})
        window.append((position, vector))
        if position < reach:
            head.append(vector)
    for position, vector in enumerate(head):  # here the circle closes
        last = [(before, other) for before, other in window if before >= count - reach + position]
        table.update({(position, before): _distance(other, vector) for before, other in last if before > position})
    pairs = np.array(sorted(table), dtype=np.int32).reshape(-1, 2)
    distances = np.array([table[left, right] for left, right in pairs.tolist()], dtype=np.float32)
    return PairDistances(pairs[:, 0], pairs[:, 1], distances)


def mean_distance(pairs: PairDistances) -> float | None:
    """Mean over pairs; None when there are none."""
    return float(pairs.distance.mean(dtype=np.float64)) if len(pairs.distance) else None


def interval(pairs: PairDistances, emotions: NDArray[np.integer], members: NDArray[np.bool_], level: float) -> Interval | None:
    """The interval of the mean over emotions [n] of the mean within each, of `members` [n]; None without an emotion of two pairs."""
    own = pairs.of(members)
    return pair_interval(own.distance.astype(np.float64), Pairs(own.left, own.right, emotions[own.left]), level)


def _distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    difference = first - second
    return float(difference @ difference)
