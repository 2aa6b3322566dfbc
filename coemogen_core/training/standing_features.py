"""Features that stand in a workspace already: of the same picture by the same recipe, in whatever part, source, dataset and version."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import safe_open
from torch import Tensor

from coemogen_core.data.standing_rows import standing_rows
from coemogen_core.storage.listing import files_below
from coemogen_core.storage.local_files import local_copy
from coemogen_core.storage.workspace import Workspace

SETS_READ = 4
"""Of the sets that have a part, so many are read for the pictures that the newest lacks: versions differ in what they keep."""


@dataclass(frozen=True)
class StandingFeatures:
    """Rows of cached parts."""

    rows: pl.DataFrame  # image_id, caption_id, uri of the part, row in it

    def tensors(self) -> Iterator[tuple[pl.DataFrame, dict[str, Tensor]]]:
        """The rows of one part after the other, with their tensors in the same order."""
        for (uri,), rows in self.rows.group_by("uri", maintain_order=True):
            with safe_open(local_copy(str(uri), "cache the features again"), framework="pt") as file:
                chosen = torch.tensor(rows["row"].to_list())
                yield rows, {name: file.get_tensor(name)[chosen] for name in file.keys()}  # noqa: SIM118 (a safe_open is no dict)

    def facts(self) -> dict[str, Any]:
        """What the first of the parts says of all its rows."""
        with safe_open(local_copy(self.rows["uri"][0], "cache the features again"), framework="pt") as file:
            return dict(json.loads(file.metadata()["coemogen"]))


@dataclass(frozen=True)
class StandingSet:
    """One feature set as it was when the process first looked."""

    dataset: str
    feature_id: str
    written: float  # its newest file, seconds since 1970
    parts: np.ndarray  # hashes of the names of its parts, int64, sorted: 8 bytes a part, for there are as many sets as versions

    def has(self, part: str) -> bool:
        """Whether the part was there."""
        place = int(np.searchsorted(self.parts, hash(part)))
        return place < len(self.parts) and int(self.parts[place]) == hash(part)


@lru_cache(maxsize=4)
def sets_of(workspace: Workspace, picture_id: str, wanted_for: str) -> tuple[StandingSet, ...]:
    """All feature sets whose features of a picture were made alike, newest first; listed once a process for each set that is made.

    Args:
        picture_id: what made the features of a picture (`FeatureRecipe.picture_id`); the names of the sets begin with it.
        wanted_for: id of the set that is made.
    """
    names = [(dataset, name) for dataset in workspace.list_folders("features") for name in workspace.list_folders("features", dataset)]
    wanted = [(dataset, name) for dataset, name in names if name.startswith(f"{picture_id}.") or name == wanted_for]
    return tuple(sorted((_listed(workspace, *names) for names in wanted), key=lambda found: (-found.written, found.feature_id)))


def _listed(workspace: Workspace, dataset: str, feature_id: str) -> StandingSet:
    parts = [file for file in files_below(workspace, "features", dataset, feature_id) if file.name.endswith(".safetensors")]
    hashes = np.sort(np.array([hash(file.name.removesuffix(".safetensors")) for file in parts], np.int64))
    return StandingSet(dataset, feature_id, max((file.written for file in parts), default=0.0), hashes)


def find_features(workspace: Workspace, source: str, part: str, wanted: pl.Series, sets: Sequence[StandingSet]) -> StandingFeatures | None:
    """Features of these pictures (image ids) of a part that stand in feature sets (`sets_of`); None when there are none.

    A set that lacks a part costs nothing, and of those that have it the newest `SETS_READ` are opened: what costs does not grow with the
    number of versions.
    """
    if not sets:
        return None

    def read(_: str, standing: str) -> pl.DataFrame | None:
        found: list[pl.DataFrame] = []
        for one in [each for each in sets if each.has(standing)][:SETS_READ]:
            rows = _rows(workspace, one.dataset, one.feature_id, standing)
            found += [] if rows is None else [rows]
            if rows is not None and wanted.is_in(rows["image_id"].implode()).all():
                break
        return pl.concat(found).unique("image_id", keep="first", maintain_order=True) if found else None

    own = read(source, part)  # of another version of the dataset, or of another dataset on the same pictures
    rows = pl.DataFrame(schema=_SCHEMA) if own is None else own.filter(pl.col("image_id").is_in(wanted.implode()))
    missing = pl.DataFrame({"image_id": wanted}).join(rows, on="image_id", how="anti")
    elsewhere = standing_rows(workspace, missing, read, but=(source, part))
    rows = rows if elsewhere is None else pl.concat([rows, elsewhere])
    return None if rows.is_empty() else StandingFeatures(rows)


_SCHEMA = {"image_id": pl.String, "caption_id": pl.String, "uri": pl.String, "row": pl.Int64}


def _rows(workspace: Workspace, dataset: str, feature_id: str, part: str) -> pl.DataFrame | None:
    """What a cached part holds; None where there is none."""
    uri = workspace.path("features", dataset, feature_id, f"{part}.safetensors")
    try:
        with safe_open(local_copy(uri, "cache the features again"), framework="np") as file:
            ids, captions = (_hexadecimal(file.get_tensor(name)) for name in ("image_id", "caption_id"))
    except FileNotFoundError:
        return None
    return pl.DataFrame({"image_id": ids, "caption_id": captions, "uri": uri, "row": range(len(ids))}, schema=_SCHEMA)


def _hexadecimal(digests: np.ndarray) -> list[str]:
    return [bytes(digest).hex() for digest in digests]
