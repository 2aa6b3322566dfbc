"""Near-duplicates: groups of pictures that look alike to an encoder, found once for a source; dropping all but the largest is a query.

The groups do not depend on any threshold of a dataset, so they are made of all embedded pictures and stored, and a dataset's decisions
keep the largest picture of each group *among those that came through every other step*: a group whose largest picture was not wanted
still gives its next one. See docs/curation.md for what this costs and how far it reaches.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.leader_clustering import cluster_by_leader
from coemogen_core.data.workspace import Table, Workspace
from coemogen_core.recipe import recipe_id
from schemas.outcomes import PartOutcome
from schemas.tables import NearDuplicates

NEAR_DUPLICATE = "near-duplicate"
GROUPS = "groups"
PARTS_AT_ONCE = 128


class NearDuplicateRecipe(BaseModel):
    """When two pictures count as one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_distance: float = Field(default=0.04, gt=0.0, le=0.5, description="cosine distance (1 - similarity) of embeddings, at most")


def near_duplicates_id(parts: Sequence[str], encoder_id: str, recipe: NearDuplicateRecipe) -> str:
    """Recipe id of the groups: encoder, distance, and the image parts that were looked at together."""
    return recipe_id("near-duplicates", {"parts": sorted(parts), "encoder_id": encoder_id, "recipe": recipe})


def group_near_duplicates(
    workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: NearDuplicateRecipe
) -> PartOutcome:
    """Group the embedded pictures of a source into `near_duplicates/<source>/<recipe id>`.

    Largest first (pixels, then the lower id), a picture joins the nearest of the larger pictures that lead a group within `max_distance`,
    or leads a new group. The vectors lie in a temporary file on disk while they are compared.

    Returns:
        Rows: embedded pictures; dropped: those that have a larger one like them.

    Raises:
        FileNotFoundError: a part has not been ingested or embedded.
    """
    started = time.perf_counter()
    name = near_duplicates_id(parts, encoder_id, recipe)
    table = workspace.table("near_duplicates", source, name)
    embeddings = workspace.table("embeddings", source, encoder_id)
    reused = table.has_part(GROUPS)
    if not reused:
        ranked = _ranked(workspace, source, embeddings, sorted(parts))
        with tempfile.TemporaryDirectory(prefix="near-duplicates-") as folder:
            vectors = _vectors_by_rank(embeddings, ranked, Path(folder))
            leader, distance = cluster_by_leader(vectors, recipe.max_distance)
        table.write_part(GROUPS, _group_rows(ranked, leader, distance), NearDuplicates)
    dropped = int((table.read_part(GROUPS, ["image_id", "group_id"]).select(pl.col("image_id") != pl.col("group_id"))).sum().item() or 0)
    rows = embeddings.count(sorted(parts))
    return PartOutcome(part=name, rows=rows, dropped=dropped, reused=reused, seconds=time.perf_counter() - started)


def read_groups(workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: NearDuplicateRecipe) -> pl.DataFrame:
    """The groups of a source (schema `NearDuplicates`). Raises FileNotFoundError when they were not made."""
    table = workspace.table("near_duplicates", source, near_duplicates_id(parts, encoder_id, recipe))
    if not table.has_part(GROUPS):
        raise FileNotFoundError(f"no groups in {table.uri}: group the near-duplicates of source {source!r} first")
    return table.read_part(GROUPS)


def drop_near_duplicates(judged: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Of the kept rows of each group keep the largest, of equally large ones that with the lower id.

    Args:
        judged: `image_id` (unique), `kept`, `reason`, `near_duplicate_of` (all null); others pass through.
        groups: as `read_groups` returns them.

    Returns:
        The rows in their order; the others of a group have the reason "near-duplicate" and name the picture that was kept.
    """
    alike = judged.filter("kept").select("image_id").join(groups, on="image_id").sort("pixels", "image_id", descending=[True, False])
    largest = alike.unique("group_id", keep="first", maintain_order=True).select("group_id", largest="image_id")
    smaller = alike.join(largest, on="group_id").filter(pl.col("image_id") != pl.col("largest")).select("image_id", "largest")
    marked = judged.join(smaller, on="image_id", how="left", maintain_order="left")
    dropped = pl.col("largest").is_not_null()
    return marked.with_columns(
        kept=pl.col("kept") & ~dropped,
        reason=pl.when(dropped).then(pl.lit(NEAR_DUPLICATE)).otherwise("reason"),
        near_duplicate_of="largest",
    ).drop("largest")


def _ranked(workspace: Workspace, source: str, embeddings: Table, parts: list[str]) -> pl.DataFrame:
    """`part, image_id, pixels, rank` of every embedded picture, once, best first."""
    images = workspace.table("images", source)
    for part in parts:
        if not images.has_part(part) or not embeddings.has_part(part):
            raise FileNotFoundError(f"part {part} of source {source!r} lacks images or embeddings ({embeddings.uri}): embed it first")
    lots = [parts[start : start + PARTS_AT_ONCE] for start in range(0, len(parts), PARTS_AT_ONCE)]
    frames = []
    for lot in lots:
        sizes = images.read_parts(lot, ["image_id", "width", "height"])
        pixels = pl.col("width").cast(pl.Int64) * pl.col("height")
        embedded = embeddings.read_parts(lot, ["image_id"])
        sized = embedded.join(sizes, on=["part", "image_id"], maintain_order="left")
        frames.append(sized.select(pl.col("part").cast(pl.String), "image_id", pixels=pixels))
    rows = pl.concat(frames).unique("image_id", keep="first", maintain_order=True)
    return rows.sort("pixels", "image_id", descending=[True, False]).with_row_index("rank")


def _vectors_by_rank(embeddings: Table, ranked: pl.DataFrame, folder: Path) -> np.ndarray:
    """The vectors in the order of their ranks, float16 [n, dim], mapped from a file in the folder."""
    vectors: np.ndarray | None = None
    for (part,), rows in ranked.select("part", "image_id", "rank").group_by("part", maintain_order=True):
        found = embeddings.read_part(str(part)).join(rows, on="image_id")
        if vectors is None:
            shape = (ranked.height, found["embedding"].to_numpy().shape[1])
            vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="w+", dtype=np.float16, shape=shape)
        vectors[found["rank"].to_numpy()] = found["embedding"].to_numpy()
    return np.empty((0, 1), np.float16) if vectors is None else vectors


def _group_rows(ranked: pl.DataFrame, leader: np.ndarray, distance: np.ndarray) -> pl.DataFrame:
    """Rows of the groups of more than one, by group, the largest first."""
    rows = ranked.with_columns(leader=pl.Series(leader, dtype=pl.UInt32), distance=pl.Series(distance, dtype=pl.Float32))
    groups = rows.filter(pl.len().over("leader") > 1).sort("leader", "rank")
    return groups.select("image_id", "pixels", "distance", group_id=rows["image_id"].gather(groups["leader"]))
