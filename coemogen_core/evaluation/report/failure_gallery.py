"""The failure gallery: samples in which the first probe does not see what was asked for."""

from collections.abc import Mapping, Sequence

from coemogen_core.evaluation.failures import Miss, find_misses
from coemogen_core.evaluation.report.data import Failure, FailurePart
from coemogen_core.evaluation.report.evaluated import EvaluatedSet

SIDE = 144


def failure_parts(sets: Mapping[str, EvaluatedSet], labels: Mapping[str, str], count: int, seed: int) -> dict[str, FailurePart]:
    """The failures of every method: the worst of each emotion, and `count` drawn ones; methods without samples are left out."""
    parts = {}
    for method, found in sets.items():
        if not len(found.places):
            continue
        misses = find_misses(found.features.probabilities[0], found.emotions, count=count, seed=seed)
        worst, drawn = (_failures(found, chosen, labels[method]) for chosen in (misses.worst, misses.drawn))
        parts[method] = FailurePart(images=misses.images, missed=misses.missed, worst=worst, drawn=drawn)
    return parts


def _failures(found: EvaluatedSet, misses: Sequence[Miss], label: str) -> list[Failure]:
    pictures = found.inline([miss.row for miss in misses], f"by {label}", SIDE)
    return [
        Failure(
            picture=picture,
            wanted=miss.wanted,
            seen=miss.seen,
            wanted_probability=min(miss.wanted_probability, 1.0),
            seen_probability=min(miss.seen_probability, 1.0),
        )
        for picture, miss in zip(pictures, misses, strict=True)
    ]
