"""Candidates of a curation on disk, so that what is asked of all of them together needs few columns in memory."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

LINES_AT_ONCE = 10_000
JUDGED = ("image_id", "label", "similarity", "reason")


class CandidateSpool:
    """Candidates of many parts, a lot of parts a file, in the order in which they were added."""

    def __init__(self, folder: Path) -> None:
        """Files go into an empty folder, which belongs to the caller."""
        self._folder = folder
        self._lots: list[tuple[list[str], list[int]]] = []
        self._judged: list[pl.DataFrame] = []
        self._digest = hashlib.sha256()

    @property
    def captions(self) -> str:
        """SHA-256 over image id and caption of every candidate that has one, in order."""
        return self._digest.hexdigest()

    def add(self, parts: Sequence[str], candidates: pl.DataFrame) -> None:
        """Put away the candidates of some parts.

        Args:
            parts: their names; a part may have no row.
            candidates: `part`, in the order of the parts, and the columns of `Decisions` but `kept` and `near_duplicate_of`; `reason` is
                null where one row alone gives none.
        """
        counted = dict(candidates["part"].cast(pl.String).value_counts().iter_rows())
        rows = candidates.drop("part")
        rows.write_ipc(self._file(len(self._lots)))
        self._lots.append((list(parts), [counted.get(part, 0) for part in parts]))
        self._judged.append(rows.select(JUDGED))
        lines = rows.filter(pl.col("caption").is_not_null()).select(pl.concat_str("image_id", pl.lit("\0"), "caption", pl.lit("\0")))
        for lot in lines.iter_slices(LINES_AT_ONCE):
            self._digest.update("".join(lot.to_series()).encode())

    def judged(self) -> pl.DataFrame:
        """`image_id`, `label`, `similarity` and `reason` of all candidates."""
        return pl.concat(self._judged)

    def lots(self) -> Iterator[tuple[list[str], list[int], pl.DataFrame]]:
        """Parts, their numbers of rows, and their candidates, a lot after the other."""
        for number, (parts, heights) in enumerate(self._lots):
            yield parts, heights, pl.read_ipc(self._file(number))

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrow"
