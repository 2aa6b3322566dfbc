"""Single pictures of a workspace by emotion and number: what protocol "emogen" draws its pairs from."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from coemogen_core.data.workspace import Table, Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emogen_pairs import Place
from coemogen_core.evaluation.image_parts import ReferenceSelection
from coemogen_core.generation.sample_set import SampleSet


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
        for part, rows in self._parts[emotion]:
            if number < rows:
                return part, number
            number -= rows
        raise IndexError(f"{self.method!r} has no picture {number} of {EMOTIONS[emotion]} beyond its parts")


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
        for part, rows in self._rows[emotion]:
            if number < len(rows):
                return part, int(rows[number])
            number -= len(rows)
        raise IndexError(f"{self.selection.source!r} has no picture {number} of {EMOTIONS[emotion]} beyond its parts")


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
