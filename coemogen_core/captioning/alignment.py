"""Image-caption alignment: the CLIP cosine similarity of every caption to its picture (paper, section on the training corpus)."""

import time
from contextlib import nullcontext

import numpy as np
import polars as pl

from coemogen_core.captioning.attempts import ATTEMPT_KEY, part_recipe_sequence
from coemogen_core.captioning.current_captions import CaptionPolicy, admitted_chunks
from coemogen_core.device import Slot, give_back_heap
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Alignment


def align_part(workspace: Workspace, source: str, captions_part: str, recipe: EncoderRecipe, *, slot: Slot = nullcontext) -> PartOutcome:
    """Score the captions of one chunk into `alignment/<source>/<encoder_id>/<captions_part>`.

    Failed attempts have no caption and no score; `dropped` counts captions whose picture has no embedding.

    Raises:
        FileNotFoundError: the captions chunk or the embeddings of its image part do not exist.
    """
    started = time.perf_counter()
    alignment = workspace.table("alignment", source, recipe.encoder_id)
    table = workspace.table("captions", source)
    table.require_parts([captions_part], f"caption source {source!r} first")
    captions = table.read_part(captions_part, [*ATTEMPT_KEY, "caption"]).filter(pl.col("caption").is_not_null()).sort(ATTEMPT_KEY)
    reused = alignment.has_part(captions_part)
    if not reused:
        image_part = part_recipe_sequence(captions_part)[0]
        embeddings = workspace.table("embeddings", source, recipe.encoder_id)
        embeddings.require_parts([image_part], f"embed source {source!r} with this encoder first")
        pairs = captions.join(embeddings.read_part(image_part), on="image_id", how="inner", maintain_order="left")
        alignment.write_part(captions_part, _with_similarity(pairs, recipe, slot), Alignment)
    rows = alignment.count([captions_part])
    return PartOutcome(part=captions_part, rows=rows, dropped=captions.height - rows, reused=reused, seconds=time.perf_counter() - started)


def align_captions(
    workspace: Workspace, source: str, part: str, policy: CaptionPolicy, recipe: EncoderRecipe, *, slot: Slot = nullcontext
) -> PartOutcome:
    """Score every caption chunk of one image part that a policy may choose from; chunks that were scored before are left alone.

    Returns:
        The chunks added up, under the image part's name; reused when every chunk was there already, or there is none.
    """
    started = time.perf_counter()
    outcomes = [align_part(workspace, source, chunk, recipe, slot=slot) for chunk in admitted_chunks(workspace, source, part, policy)]
    if not all(outcome.reused for outcome in outcomes):
        give_back_heap()
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


def _with_similarity(pairs: pl.DataFrame, recipe: EncoderRecipe, slot: Slot) -> pl.DataFrame:
    texts = pairs["caption"].to_list()
    similarity: np.ndarray = np.empty(0, np.float32)
    lengths, cut = np.empty(0, np.int32), np.empty(0, np.int32)
    if texts:
        with slot():
            encoder = load_encoder(recipe)
            vectors = encoder.encode_texts(texts)
        similarity = cosine_similarities(pairs["embedding"].to_numpy(), vectors)
        lengths = np.array(encoder.count_tokens(texts), np.int32)
        cut = np.maximum(lengths - encoder.text_limit, 0)
    scores = (pl.Series("similarity", similarity), pl.Series("text_tokens", lengths), pl.Series("cut_tokens", cut))
    return pairs.select(*ATTEMPT_KEY, *scores)
