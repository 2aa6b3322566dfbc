"""Single pictures of a workspace by emotion and number: what protocol "emogen" draws its pairs from."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emogen_pairs import Place
from coemogen_core.evaluation.image_parts import ReferenceSelection
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Table, Workspace


@dataclass(frozen=True)
class StoredSamples:
    """The samples of one method of a run."""

    workspace: Workspace
    run_id: str
    method: str

    def counts(self) -> list[int]:
        """Pictures of every emotion, [8]."""
        return [sum(rows for _, rows in found) for found in self._parts]

    def load(self, places: Sequence[Place]) -> list[bytes]:
        """The encoded pictures at some places, in their order."""
        return _load(self._samples.table, [self._find(*place) for place in places])

    @property
    def _samples(self) -> SampleSet:
        return SampleSet(self.workspace, self.run_id, self.method)

    @cached_property
    def _parts(self) -> list[list[tuple[str, int]]]:
        """For every emotion its parts, and their rows."""
        samples = self._samples
        return [[(part, samples.table.count([part])) for part in samples.parts(emotion)] for emotion in EMOTIONS]

    def _find(self, emotion: int, number: int) -> tuple[str, int]:
        part, row = _in_parts([rows for _, rows in self._parts[emotion]], number, f"{self.method!r}", emotion)
        return self._parts[emotion][part][0], row


@dataclass(frozen=True)
class StoredReference:
    """The real images of a selection, counted through its parts."""

    workspace: Workspace
    selection: ReferenceSelection

    def counts(self) -> list[int]:
        """Pictures of every emotion, [8]."""
        return [sum(len(rows) for _, rows in found) for found in self._rows]

    def load(self, places: Sequence[Place]) -> list[bytes]:
        """The encoded pictures at some places, in their order."""
        return _load(self._table, [self._find(*place) for place in places])

    @property
    def _table(self) -> Table:
        return self.workspace.table("images", self.selection.source)

    @cached_property
    def _rows(self) -> list[list[tuple[str, np.ndarray]]]:
        """For every emotion the parts that have it, and its rows there."""
        found: list[list[tuple[str, np.ndarray]]] = [[] for _ in EMOTIONS]
        for part in self.selection.parts:
            rows = self._table.read_part(part, ["label", "split"]).with_row_index("row")
            chosen = rows if self.selection.split is None else rows.filter(pl.col("split") == self.selection.split)
            for emotion, places in zip(EMOTIONS, found, strict=True):
                places.append((part, chosen.filter(pl.col("label") == emotion)["row"].to_numpy()))
        return found

    def _find(self, emotion: int, number: int) -> tuple[str, int]:
        found = self._rows[emotion]
        part, place = _in_parts([len(rows) for _, rows in found], number, f"{self.selection.source!r}", emotion)
        return found[part][0], int(found[part][1][place])


def _in_parts(counts: Sequence[int], number: int, what: str, emotion: int) -> tuple[int, int]:
    """Which part of so many rows each holds a picture, and where in it."""
    left = number
    for part, rows in enumerate(counts):
        if left < rows:
            return part, left
        left -= rows
    raise IndexError(f"{what} has no picture {number} of {EMOTIONS[emotion]} beyond its parts")


def _load(table: Table, wanted: Sequence[tuple[str, int]]) -> list[bytes]:
    """Pictures by part and row; every part is read once, in small batches."""
    by_part: dict[str, set[int]] = defaultdict(set)
    for part, row in wanted:
        by_part[part].add(row)
    found = {(part, row): data for part, rows in by_part.items() for row, data in _rows_of_part(table, part, rows)}
    return [found[place] for place in wanted]


def _rows_of_part(table: Table, part: str, rows: set[int]) -> Iterator[tuple[int, bytes]]:
    start = 0
    for batch in table.iter_part(part, ["image"]):
        for row in sorted(rows):
            if start <= row < start + batch.height:
                yield row, batch["image"][row - start]["bytes"]
        start += batch.height
