"""Image-caption alignment: the CLIP cosine similarity of every caption to its picture (paper, section on the training corpus)."""

import time
from contextlib import nullcontext

import numpy as np
import polars as pl

from coemogen_core.captioning.attempts import ATTEMPT_KEY, chunk_names, part_recipe_sequence
from coemogen_core.captioning.current_captions import CaptionPolicy, admitted_chunks
from coemogen_core.data.standing_rows import standing_rows
from coemogen_core.device import Slot, give_back_heap
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.storage.workspace import Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Alignment


def align_part(workspace: Workspace, source: str, captions_part: str, recipe: EncoderRecipe, *, slot: Slot = nullcontext) -> PartOutcome:
    """Score the captions of one chunk into `alignment/<source>/<encoder_id>/<captions_part>`.

    Failed attempts have no caption and no score; `dropped` counts captions whose picture has no embedding. A caption that was scored in
    another part or source, where the same attempt stands, is not scored again.

    Raises:
        FileNotFoundError: the captions chunk or the embeddings of its image part do not exist.
    """
    started = time.perf_counter()
    alignment = workspace.table("alignment", source, recipe.encoder_id)
    table = workspace.table("captions", source)
    attempts = table.read_part(captions_part, [*ATTEMPT_KEY, "caption"], remedy=f"caption source {source!r} first")
    captions = attempts.filter(pl.col("caption").is_not_null()).sort(ATTEMPT_KEY)
    reused = alignment.has_part(captions_part)
    if reused:
        rows = alignment.count([captions_part])
    else:
        image_part = part_recipe_sequence(captions_part)[0]
        embeddings = workspace.table("embeddings", source, recipe.encoder_id)
        vectors = embeddings.read_part(image_part, remedy=f"embed source {source!r} with this encoder first")
        found = _standing_scores(workspace, source, image_part, captions, recipe.encoder_id)
        new = captions.join(found, on=ATTEMPT_KEY, how="anti", maintain_order="left")
        pairs = new.join(vectors, on="image_id", how="inner", maintain_order="left")
        scored = pl.concat([found, Alignment.cast(_with_similarity(pairs, recipe, slot))])
        alignment.write_part(captions_part, scored.sort(ATTEMPT_KEY), Alignment)
        rows = scored.height
    return PartOutcome(part=captions_part, rows=rows, dropped=captions.height - rows, reused=reused, seconds=time.perf_counter() - started)


def _standing_scores(workspace: Workspace, source: str, part: str, captions: pl.DataFrame, encoder_id: str) -> pl.DataFrame:
    """Scores of these captions (`ATTEMPT_KEY`, `caption`) that stand in other parts: of the same text, whatever its number there."""
    recipes, texts = set(captions["recipe_id"]), captions.select("image_id", "caption").unique(maintain_order=True)

    def read(other: str, standing: str) -> pl.DataFrame | None:
        chunks = [chunk for chunk in chunk_names(workspace, other, standing) if part_recipe_sequence(chunk)[1] in recipes]
        scored = [workspace.table("alignment", other, encoder_id).find_part(chunk) for chunk in chunks]
        told = [workspace.table("captions", other).read_part(chunk, [*ATTEMPT_KEY, "caption"]) for chunk in chunks]
        pairs = [captioned.join(scores, on=ATTEMPT_KEY) for captioned, scores in zip(told, scored, strict=True) if scores is not None]
        return pl.concat(pairs).drop("recipe_id", "attempt") if pairs else None

    found = standing_rows(workspace, texts, read, but=(source, part))
    if found is None:
        return Alignment.create_empty()
    return captions.join(found, on=["image_id", "caption"], maintain_order="left").select(Alignment.column_names())


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
