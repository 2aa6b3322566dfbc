"""Sampling order of training: classes evened out by oversampling, a pure function of (seed, position) (paper, section on the corpus)."""

import numpy as np
from torch import Tensor


class EvenSampler:
    """Rows in an endless order in which every class comes equally often.

    The order is a chain of rounds; a round draws each class that occurs once, in random order. Within a class, rows are dealt like a
    shuffled pack: none comes again before all others came. So at any length the counts of two classes differ by at most one, and those of
    two rows of a class as well. The order at a position depends on the seed alone: resuming means asking for the next position.
    """

    def __init__(self, labels: Tensor, seed: int, only: int | None = None) -> None:
        """Deal the rows of these labels [n], or those of one label alone.

        Raises:
            ValueError: there are none.
        """
        values = labels.numpy()
        found = [np.flatnonzero(values == label) for label in (np.unique(values) if only is None else [only])]
        self._rows = [rows for rows in found if len(rows)]
        if not self._rows:
            raise ValueError("no rows to sample from: the corpus kept no pictures" + ("" if only is None else " of this emotion"))
        self._seed = seed
        self._packs: dict[int, tuple[int, np.ndarray]] = {}  # class -> the pack dealt at present and its number

    def rows(self, start: int, count: int) -> list[int]:
        """Row indices at positions `start` to `start + count - 1`."""
        return [self._row(position) for position in range(start, start + count)]

    def _row(self, position: int) -> int:
        turn, seat = divmod(position, len(self._rows))
        which = int(np.random.default_rng([self._seed, 0, turn]).permutation(len(self._rows))[seat])
        number, card = divmod(turn, len(self._rows[which]))
        return int(self._rows[which][self._pack(which, number)[card]])

    def _pack(self, which: int, number: int) -> np.ndarray:
        held = self._packs.get(which)
        if held is None or held[0] != number:
            held = (number, np.random.default_rng([self._seed, 1, which, number]).permutation(len(self._rows[which])))
            self._packs[which] = held
        return held[1]
