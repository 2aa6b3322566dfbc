"""Image-caption alignment: the CLIP cosine similarity of every caption to its picture (paper, section on the training corpus)."""

import time

import numpy as np
import polars as pl

from coemogen_core.curation.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.curation.current_captions import chunks_by_part
from coemogen_core.data.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Alignment


def image_part_of(captions_part: str) -> str:
    """Image part that a captions chunk `<image part>.<caption recipe>.<sequence>` belongs to.

    Raises:
        ValueError: the name has another form.
    """
    pieces = captions_part.rsplit(".", 2)
    if len(pieces) != 3 or not pieces[2].isdigit():
        raise ValueError(f"captions part {captions_part!r} is not named <image part>.<caption recipe id>.<sequence number>")
    return pieces[0]


def align_part(workspace: Workspace, source: str, captions_part: str, recipe: EncoderRecipe) -> PartOutcome:
    """Score the captions of one chunk into `alignment/<source>/<encoder_id>/<captions_part>`.

    Failed attempts have no caption and no score; `dropped` counts captions whose picture has no embedding.

    Raises:
        FileNotFoundError: the captions chunk or the embeddings of its image part do not exist.
    """
    started = time.perf_counter()
    alignment = workspace.table("alignment", source, recipe.encoder_id)
    captions = _latest_captions(workspace, source, captions_part)
    reused = alignment.has_part(captions_part)
    if not reused:
        vectors = _image_vectors(workspace, source, image_part_of(captions_part), recipe.encoder_id)
        pairs = captions.join(vectors, on="image_id", how="inner", maintain_order="left")
        alignment.write_part(captions_part, _with_similarity(pairs, recipe), Alignment)
    rows = alignment.count([captions_part])
    return PartOutcome(part=captions_part, rows=rows, dropped=captions.height - rows, reused=reused, seconds=time.perf_counter() - started)


def align_captions(workspace: Workspace, source: str, part: str, caption_recipe_id: str, recipe: EncoderRecipe) -> PartOutcome:
    """Score every caption chunk that a caption recipe has for one image part; chunks that were scored before are left alone.

    Returns:
        The chunks added up, under the image part's name; reused when every chunk was there already, or there is none.
    """
    started = time.perf_counter()
    chunks = chunks_by_part(workspace, source, caption_recipe_id).get(part, [])
    outcomes = [align_part(workspace, source, chunk, recipe) for chunk in chunks]
    return PartOutcome(
        part=part,
        rows=sum(outcome.rows for outcome in outcomes),
        dropped=sum(outcome.dropped for outcome in outcomes),
        reused=all(outcome.reused for outcome in outcomes),
        seconds=time.perf_counter() - started,
    )


def cosine_similarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row-wise cosine of two [n, dim] arrays, float32 [n] in [-1, 1]; computed in float64, lengths need not be one."""
    left, right = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.clip(np.einsum("nd,nd->n", left, right) / lengths, -1.0, 1.0).astype(np.float32)


def _latest_captions(workspace: Workspace, source: str, captions_part: str) -> pl.DataFrame:
    """Caption of the latest successful attempt of each picture in one chunk."""
    table = workspace.table("captions", source)
    if not table.has_part(captions_part):
        raise FileNotFoundError(f"no part {captions_part} in {table.uri}: caption source {source!r} first")
    attempts = table.read_part(captions_part, ["image_id", "recipe_id", "attempt", "caption"])
    return (
        attempts.filter(pl.col("caption").is_not_null())
        .sort("attempt", maintain_order=True)
        .unique(["image_id", "recipe_id"], keep="last", maintain_order=True)
        .select("image_id", "recipe_id", "caption")
        .sort("image_id", "recipe_id")
    )


def _image_vectors(workspace: Workspace, source: str, part: str, encoder_id: str) -> pl.DataFrame:
    table = workspace.table("embeddings", source, encoder_id)
    if not table.has_part(part):
        raise FileNotFoundError(f"no part {part} in {table.uri}: embed source {source!r} with this encoder first")
    return table.read_part(part)


def _with_similarity(pairs: pl.DataFrame, recipe: EncoderRecipe) -> pl.DataFrame:
    if pairs.is_empty():
        return pairs.select("image_id", "recipe_id", pl.lit(None, pl.Float32).alias("similarity"))
    texts = load_encoder(recipe).encode_texts(pairs["caption"].to_list())
    similarity = cosine_similarities(pairs["embedding"].to_numpy(), texts)
    return pairs.select("image_id", "recipe_id", pl.Series("similarity", similarity))
