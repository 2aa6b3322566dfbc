"""Where each picture of a workspace stands or stood, in whatever part and source: what finds rows again that were made once.

Ingestion leaves a list of a part's pictures in `pictures/<decoder>/<source>/<part>` (34 kB for 1,000), which stays when the part goes.
`update_index` merges all lists into two sorted files of fixed-width rows, and readers map them into memory: nobody searches the workspace.
Lists are kept apart by the decoder's version, since another decoder may make other rows of the same bytes.

Cost at 100 million pictures in 100,000 parts: 2.8 GB on disk (28 bytes a picture); an update lists the names, reads the new lists alone and
writes the files once (about a minute on a disk) in 0.2 GB of memory; a look-up is a binary search in mapped pages, some 20 µs a picture. In
a remote workspace each machine fetches the files once an update. An index that lags behind costs work, never a wrong row: what it names is
read from the tables by the whole id. One that is lost or damaged counts as none, and the next update makes it anew from the lists.
"""

import json
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from coemogen_core.data.decode import DECODER_VERSION
from coemogen_core.storage.listing import files_below
from coemogen_core.storage.local_files import local_copy
from coemogen_core.storage.whole_file import written_whole
from coemogen_core.storage.workspace import Table, Workspace

FOLDER = ("pictures", f"decoder-{DECODER_VERSION}")
INDEX = (*FOLDER, "_index")
ROW = np.dtype([("low", "<u8"), ("part", "<u4"), ("width", "<u4"), ("height", "<u4")])
RUN_ROWS = 4_000_000  # of new lists that are sorted in memory at once
RANGE_ROWS = 500_000  # that are merged at once
KEPT_S = 600
"""Indices that are no longer the current one stay so long: somebody may be about to open one, or be writing it."""

_OPENING = threading.Lock()
_opened: dict[str, tuple[str, "PictureIndex"]] = {}


@dataclass(frozen=True)
class PictureIndex:
    """All lists as sorted arrays: the first 8 bytes of the ids, and beside them the next 8, the part and the picture's size."""

    keys: np.ndarray  # uint64 [n], sorted
    rows: np.ndarray  # ROW [n]
    parts: tuple[str, ...]  # <source>/<part>, by number
    name: str = ""  # another one after every update

    def places(self, image_ids: pl.Series) -> pl.DataFrame:
        """Where pictures stand or stood: columns `image_id`, `source`, `part`, a row for every place."""
        high, low = _halves(image_ids)
        first, last = np.searchsorted(self.keys, high, "left"), np.searchsorted(self.keys, high, "right")
        counts = last - first
        asked = np.repeat(np.arange(len(high)), counts)
        place = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        rows = self.rows[place]
        same = rows["low"] == low[asked]
        names = [self.parts[part].partition("/") for part in rows["part"][same]]
        found = {"source": [source for source, _, _ in names], "part": [part for _, _, part in names]}
        return pl.DataFrame(found, schema={"source": pl.String, "part": pl.String}).insert_column(
            0, image_ids.gather(asked[same]).alias("image_id")
        )

    def size(self, image_id: str) -> tuple[int, int] | None:
        """Width and height of a picture that was decoded before; None of any other."""
        high, low = int(image_id[:16], 16), int(image_id[16:32], 16)
        place = int(np.searchsorted(self.keys, np.uint64(high)))
        while place < len(self.keys) and self.keys[place] == high:
            if self.rows["low"][place] == low:
                return int(self.rows["width"][place]), int(self.rows["height"][place])
            place += 1
        return None


EMPTY = PictureIndex(np.empty(0, np.uint64), np.empty(0, ROW), ())


def pictures_table(workspace: Workspace, source: str) -> Table:
    """The lists of a source: `image_id`, `width` and `height` of every picture that a part holds or held."""
    return workspace.table(*FOLDER, source)


def open_index(workspace: Workspace) -> PictureIndex:
    """The index as it was last updated, mapped; empty where it never was, or is lost. One small request when nothing has changed."""
    try:
        current = workspace.read_json(*INDEX, "current.json")
        with _OPENING:
            known, index = _opened.get(workspace.uri, ("", None))
            if index is None or known != current["index"]:
                index = _map(workspace, **current)
                _opened[workspace.uri] = (current["index"], index)
            return index
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # lost, cut off, or of another format
        return EMPTY


def update_index(workspace: Workspace) -> int:
    """Take lists into the index that were written since, and leave out those that are gone; returns the number of rows.

    Two updates at once both end well; what the later one did not see comes with the next.
    """
    listed = workspace.table(*FOLDER).parts()
    index = open_index(workspace)
    if set(listed) == set(index.parts):
        return len(index.keys)
    parts = (*index.parts, *sorted(set(listed) - set(index.parts)))
    named = set(listed)
    in_order = [part for part in parts if part in named]
    name = uuid.uuid4().hex  # no two writers share a folder, and no cached copy of a file is taken for another
    with tempfile.TemporaryDirectory(prefix="picture-index-") as folder:
        runs = list(_sorted_runs(workspace, parts, len(index.parts), Path(folder)))
        there = np.array([part in named for part in parts])
        total = _merge(workspace, name, [(index.keys, index.rows), *runs], there)
    workspace.write_file(json.dumps(in_order).encode(), *INDEX, name, "parts.json")
    workspace.write_json({"index": name, "rows": total}, *INDEX, "current.json")
    _remove_old(workspace, name)
    return total


def _remove_old(workspace: Workspace, current: str) -> None:
    newest: dict[str, float] = {}
    for file in files_below(workspace, *INDEX):
        name = file.name.rpartition("/")[0]
        if name:
            newest[name] = max(newest.get(name, 0.0), file.written)
    for name, written in newest.items():
        if name != current and written < time.time() - KEPT_S:
            workspace.remove_folder(*INDEX, name)


def _sorted_runs(workspace: Workspace, parts: Sequence[str], known: int, folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The lists of the parts from number `known` on, as sorted arrays in files of the folder."""
    table, waiting, count = workspace.table(*FOLDER), list[tuple[np.ndarray, np.ndarray]](), 0
    for number in range(known, len(parts)):
        listed = table.read_part(parts[number])
        high, low = _halves(listed["image_id"])
        rows = np.empty(len(high), ROW)
        rows["low"], rows["part"], rows["width"], rows["height"] = low, number, listed["width"].to_numpy(), listed["height"].to_numpy()
        waiting.append((high, rows))
        count += len(high)
        if count >= RUN_ROWS or number == len(parts) - 1:
            keys, rows = _in_order(waiting)
            np.save(folder / f"{number}.keys.npy", keys)
            np.save(folder / f"{number}.rows.npy", rows)
            waiting, count = [], 0
            yield _on_disk(folder / f"{number}.keys.npy"), _on_disk(folder / f"{number}.rows.npy")


def _merge(workspace: Workspace, name: str, sorted_arrays: Sequence[tuple[np.ndarray, np.ndarray]], there: np.ndarray) -> int:
    """Write the index of the parts that are there, numbered anew, one range of keys after the other; returns its number of rows."""
    numbers = np.cumsum(there) - 1
    ranges = sum(len(keys) for keys, _ in sorted_arrays) // RANGE_ROWS + 1
    starts, written = [0] * len(sorted_arrays), 0
    with written_whole(workspace.path(*INDEX, name, "keys")) as key_file, written_whole(workspace.path(*INDEX, name, "rows")) as row_file:
        for number in range(1, ranges + 1):
            largest = np.uint64(2**64 * number // ranges - 1)
            ends = [int(np.searchsorted(keys, largest, "right")) for keys, _ in sorted_arrays]
            pieces = [(keys[start:end], rows[start:end]) for (keys, rows), start, end in zip(sorted_arrays, starts, ends, strict=True)]
            keys, rows = _in_order(pieces)
            kept = there[rows["part"]]
            keys, rows = keys[kept], rows[kept]
            rows["part"] = numbers[rows["part"]]
            key_file.write(keys.tobytes())
            row_file.write(rows.tobytes())
            starts, written = ends, written + len(keys)
    return written


def _in_order(pieces: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    keys, rows = (np.concatenate([piece[side] for piece in pieces]) for side in (0, 1))
    order = np.lexsort((rows["part"], rows["low"], keys))
    return keys[order], rows[order]


def _halves(image_ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second 8 bytes of ids, uint64 [n] each."""
    numbers = np.frombuffer(bytes.fromhex("".join(image_ids)), ">u8").reshape(-1, 4)
    return numbers[:, 0].astype(np.uint64), numbers[:, 1].astype(np.uint64)


def _map(workspace: Workspace, index: str, rows: int) -> PictureIndex:
    """An index of so many rows. Raises FileNotFoundError or ValueError where it is lost or damaged."""
    remedy = "build a dataset again, which updates the index"
    keys, others = (local_copy(workspace.path(*INDEX, index, file), remedy) for file in ("keys", "rows"))
    parts = tuple(json.loads(workspace.read_file(*INDEX, index, "parts.json")))
    if (Path(keys).stat().st_size, Path(others).stat().st_size) != (8 * rows, ROW.itemsize * rows):
        raise ValueError(f"index {index} of {workspace.uri} is cut off")
    if not rows:  # an empty file cannot be mapped
        return PictureIndex(EMPTY.keys, EMPTY.rows, parts, index)
    return PictureIndex(np.memmap(keys, np.uint64, "r"), np.memmap(others, ROW, "r"), parts, index)


def _on_disk(file: Path) -> np.ndarray:
    """An array that was saved: mapped, unless there is nothing to map."""
    return np.load(file, mmap_mode="r" if file.stat().st_size > 1024 else None)
