"""Near-duplicates: groups of pictures that look alike to an encoder, found once for a source; dropping all but the largest is a query.

The groups do not depend on any threshold of a dataset, so they are made of all embedded pictures and stored, and a dataset's decisions
keep the largest picture of each group *among those that came through every other step*: a group whose largest picture was not wanted
still gives its next one. See docs/curation.md for what this costs and how far it reaches.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field
from usearch.index import Index, MetricKind, ScalarKind

from coemogen_core.recipe import Recipe, recipe_id
from coemogen_core.storage.row_digest import RowDigest
from coemogen_core.storage.workspace import Table, Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import NearDuplicates

BLOCK = 1024  # vectors that are looked up together
NEAREST = 4  # leaders that the index proposes
EXACT_UP_TO = 2_000  # leaders: below, every one is looked at
MARGIN = 2e-3  # of single-precision products of half-precision vectors, which only propose too


def cluster_by_leader(vectors: np.ndarray, max_distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Give every vector its leader.

    Args:
        vectors: [n, dim], float16, none of length zero, best first; may be a memory map: it is read in blocks, leaders now and then.
        max_distance: reach, as cosine distance (1 - cosine), inclusive.

    Returns:
        Index of the leader, int64 [n] (leaders: their own), and the distance to it, float32 [n].
    """
    count, dim = vectors.shape
    leader, distance = np.arange(count), np.zeros(count, np.float32)
    index = Index(ndim=dim, metric=MetricKind.Cos, dtype=ScalarKind.F16, connectivity=16, expansion_add=64, expansion_search=64)
    for start in range(0, count, BLOCK):
        block = np.array(vectors[start : start + BLOCK])
        known = _nearest_known(index, block)
        within = _proposed_within(block, max_distance)
        for row in range(len(block)):
            proposed = np.concatenate([known[row], start + np.flatnonzero(within[row])])
            proposed = np.unique(proposed[leader[proposed] == proposed])
            if not len(proposed):
                continue
            distances = _distances(block[row], vectors[proposed])
            best = int(distances.argmin())  # of equals the first, which comes first in the list
            if distances[best] <= max_distance:
                leader[start + row], distance[start + row] = proposed[best], distances[best]
        new = start + np.flatnonzero(leader[start : start + len(block)] == np.arange(start, start + len(block)))
        index.add(new, block[new - start], threads=1)
    return leader, distance


def _nearest_known(index: Index, block: np.ndarray) -> list[np.ndarray]:
    """Leaders of earlier blocks that may be the nearest, of each vector of a block."""
    if not len(index):
        return [np.empty(0, np.int64)] * len(block)
    nearest = min(NEAREST, len(index))
    matches = index.search(block, nearest, threads=0, exact=len(index) <= EXACT_UP_TO)
    return list(np.asarray(matches.keys).astype(np.int64).reshape(len(block), nearest))


def _proposed_within(block: np.ndarray, max_distance: float) -> np.ndarray:
    """Which earlier vectors of its block each vector may be within reach of, bool [b, b]."""
    single = block.astype(np.float32)
    single /= np.linalg.norm(single, axis=1, keepdims=True)
    return np.tril(single @ single.T >= 1.0 - max_distance - MARGIN, -1)


def _distances(vector: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosine distances of one vector [dim] to others [n, dim] in double precision, in [0, 2]."""
    one, many = vector.astype(np.float64), others.astype(np.float64)
    lengths = np.sqrt(np.einsum("d,d->", one, one) * np.einsum("nd,nd->n", many, many))
    return np.clip(1.0 - np.einsum("nd,d->n", many, one) / lengths, 0.0, 2.0)


NEAR_DUPLICATE = "near-duplicate"
GROUPS = "groups"
PARTS_AT_ONCE = 128


class NearDuplicateRecipe(Recipe):
    """When two pictures count as one."""

    max_distance: float = Field(default=0.04, gt=0.0, le=0.5, description="cosine distance (1 - similarity) of embeddings, at most")


def near_duplicates_id(workspace: Workspace, source: str, parts: Sequence[str], encoder_id: str, recipe: NearDuplicateRecipe) -> str:
    """Recipe id of the groups: encoder, distance, and the pictures that are looked at together, in whatever parts they lie.

    Raises:
        FileNotFoundError: a part has not been ingested.
    """
    images, digest = workspace.table("images", source), RowDigest()
    images.require_parts(parts, f"ingest source {source!r} first")
    for lot in _lots(parts):
        digest.add(images.read_parts(lot, ["image_id"]).select("image_id"))
    return recipe_id("near-duplicates", {"pictures": digest.hexdigest(), "encoder_id": encoder_id, "recipe": recipe})


def _lots(parts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (parts[start : start + PARTS_AT_ONCE] for start in range(0, len(parts), PARTS_AT_ONCE))


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
    name = near_duplicates_id(workspace, source, sorted(parts), encoder_id, recipe)
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


def read_groups(workspace: Workspace, source: str, groups: str) -> pl.DataFrame:
    """The groups of a source of this id (schema `NearDuplicates`). Raises FileNotFoundError when they were not made."""
    table = workspace.table("near_duplicates", source, groups)
    table.require_parts([GROUPS], f"group the near-duplicates of source {source!r} first")
    return table.read_part(GROUPS)


def drop_near_duplicates(judged: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """Of the kept rows of each group (`read_groups`) keep the largest, of equally large ones that with the lower id.

    Args:
        judged: `image_id` (unique), `kept`, `reason`, `near_duplicate_of` (all null); others pass through.

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
    embeddings.require_parts(parts, f"embed source {source!r} first")
    frames = []
    for lot in _lots(parts):
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
