"""Gate vectors: which of the ten HiLoRA pairs a sample uses, and how strongly.

A gate is a vector g in R^10 ordered as `PAIRS`: the eight emotions, then the two polarities. One emotion is a gate with two ones, its
own pair and its polarity's (paper, HiLoRA: W' = W + B_pol A_pol + B_emo A_emo). Fusion, intensity and both ablations are other gates.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from coemogen_core.emotions import EMOTIONS, POLARITIES, parse_emotion, polarity_of

PAIRS: tuple[str, ...] = (*EMOTIONS, *POLARITIES)
"""Names of the low-rank pairs, in gate order."""

EmotionQuery = str | Mapping[str, float]
"""One emotion by name, or a fusion: several emotions with weights."""


def gate_for(emotion: str) -> Tensor:
    """Gate of one emotion: ones at the emotion and at its polarity.

    Returns:
        float32 [10].

    Raises:
        ValueError: not one of the eight emotions.
    """
    return fuse({emotion: 1.0})


def gates_for(labels: Iterable[int]) -> Tensor:
    """Gates of a batch of label indices (order of EMOTIONS): float32 [n, 10]."""
    table = torch.stack([gate_for(emotion) for emotion in EMOTIONS])
    return table[torch.as_tensor(list(labels), dtype=torch.long)]


def emotion_weights(query: EmotionQuery) -> Tensor:
    """Weights over the eight emotions: non-negative, summing to one.

    Args:
        query: an emotion, or weights per emotion; weights are divided by their sum.

    Returns:
        float32 [8].

    Raises:
        ValueError: an unknown emotion, an emotion given twice, a negative or non-finite weight, or weights that are all zero.
    """
    weights = torch.zeros(len(EMOTIONS), dtype=torch.float64)
    items = {query: 1.0} if isinstance(query, str) else query
    for name, weight in items.items():
        if not (0 <= weight < float("inf")):
            raise ValueError(f"weight {weight} of emotion {name!r}: give a finite number of at least 0")
        index = EMOTIONS.index(parse_emotion(name))
        if weights[index] != 0:
            raise ValueError(f"emotion {name!r} is given twice: add its weights up")
        weights[index] = weight
    total = weights.sum()
    if total == 0:
        raise ValueError("all emotion weights are zero: give at least one emotion a positive weight")
    return (weights / total).float()


def fuse(weights: Mapping[str, float]) -> Tensor:
    """Gate of several emotions at once; each polarity's weight is the sum over its emotions.

    Args:
        weights: emotion -> weight, e.g. `{"awe": 0.6, "fear": 0.4}`; normalised to sum one.

    Returns:
        float32 [10], e.g. awe 0.6, fear 0.4, positive 0.6, negative 0.4.

    Raises:
        ValueError: as in `emotion_weights`.
    """
    emotions = emotion_weights(weights)
    polarities = [sum(emotions[i] for i, e in enumerate(EMOTIONS) if polarity_of(e) == p) for p in POLARITIES]
    return torch.cat([emotions, torch.tensor([float(weight) for weight in polarities])])


def scale(gates: Tensor, intensity: float) -> Tensor:
    """Turn an emotion up (above 1) or down (0 is the base model); gates of any shape [..., 10]."""
    return gates * intensity


def restrict(gates: Tensor, *, emotions: bool, polarities: bool) -> Tensor:
    """Close the pairs that a model does without: emotion pairs, polarity pairs, or both; gates [..., 10]."""
    return gates * _mask(emotions=emotions, polarities=polarities).to(gates)


def _mask(*, emotions: bool, polarities: bool) -> Tensor:
    return torch.tensor([float(emotions)] * len(EMOTIONS) + [float(polarities)] * len(POLARITIES))
