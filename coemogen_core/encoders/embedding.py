"""Embedding one part of a source: pictures in, half-precision vectors out, of whatever image encoder."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from typing import cast

import numpy as np
import polars as pl

from coemogen_core.data.decode import UnreadableImage, decode_image
from coemogen_core.data.standing_rows import standing_rows
from coemogen_core.device import Slot, give_back_heap
from coemogen_core.encoders.image_encoder import ImageEncoder, ImageEncoderRecipe, load_image_encoder
from coemogen_core.storage.workspace import Table, Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import embeddings_schema

DECODING_THREADS = 2
BATCHES_AHEAD = 2  # decoded while the model computes; bounds the pixels in memory


def embed_part(workspace: Workspace, source: str, part: str, recipe: ImageEncoderRecipe, *, slot: Slot = nullcontext) -> PartOutcome:
    """Embed the pictures of `images/<source>/<part>` into `embeddings/<source>/<encoder_id>/<part>`.

    A picture that this encoder has embedded before, in whatever part and source, is not embedded again; where there is none but such, the
    model is not even loaded. A picture that no longer decodes gets no row and is counted as dropped; the curation then names it "not
    embedded".

    Raises:
        FileNotFoundError: the part of the images table does not exist.
        FloatingPointError: the model gave NaN, infinity or what half precision cannot hold.
    """
    started = time.perf_counter()
    images = workspace.table("images", source)
    embeddings = workspace.table("embeddings", source, recipe.encoder_id)
    reused = embeddings.has_part(part)
    if reused:
        pictures, embedded = images.count([part]), embeddings.count([part])
    else:
        ids = images.read_part(part, ["image_id"], remedy=f"ingest source {source!r} first")
        rows = _standing_and_new(workspace, source, part, ids, recipe, slot)
        embeddings.write_part(part, rows, embeddings_schema(cast(pl.Array, rows.schema["embedding"]).size))
        give_back_heap()
        pictures, embedded = ids.height, rows.height
    seconds = time.perf_counter() - started
    return PartOutcome(part=part, rows=embedded, dropped=pictures - embedded, reused=reused, seconds=seconds)


def _standing_and_new(
    workspace: Workspace, source: str, part: str, ids: pl.DataFrame, recipe: ImageEncoderRecipe, slot: Slot
) -> pl.DataFrame:
    """Embeddings of the pictures of a part (`image_id`), in its order: those that stand in other parts, and those that are made now."""

    def read(other: str, standing: str) -> pl.DataFrame | None:
        return workspace.table("embeddings", other, recipe.encoder_id).find_part(standing)

    found = standing_rows(workspace, ids, read, but=(source, part))
    missing = set(ids["image_id"]) - set(() if found is None else found["image_id"])
    if missing or found is None:
        with slot():
            new = _embed(workspace.table("images", source), part, load_image_encoder(recipe), missing)
        found = new if found is None else pl.concat([found, new])
    return ids.join(found, on="image_id", how="inner", maintain_order="left")


def _embed(images: Table, part: str, encoder: ImageEncoder, wanted: set[str]) -> pl.DataFrame:
    ids: list[str] = []
    vectors = [np.empty((0, encoder.dim), dtype=np.float16)]
    for batch_ids, pixels in _decoded_batches(images, part, encoder, wanted):
        readable = [(image_id, array) for image_id, array in zip(batch_ids, pixels, strict=True) if array is not None]
        if readable:
            ids.extend(image_id for image_id, _ in readable)
            vectors.append(_halved(encoder.encode_pixels(np.stack([array for _, array in readable])), encoder))
    return pl.DataFrame({"image_id": pl.Series(ids, dtype=pl.String), "embedding": pl.Series(np.concatenate(vectors))})


def _halved(vectors: np.ndarray, encoder: ImageEncoder) -> np.ndarray:
    with np.errstate(over="ignore"):  # said below, with the remedy
        half = vectors.astype(np.float16)
    if not np.isfinite(half).all():
        raise FloatingPointError(
            f"{encoder.encoder_id} gave NaN, infinity or numbers above {np.finfo(np.float16).max:g}, more than half precision holds: "
            "compute in float32 or bfloat16, or scale the vectors down in the encoder"
        )
    return half


def _decoded_batches(
    images: Table, part: str, encoder: ImageEncoder, wanted: set[str]
) -> Iterator[tuple[list[str], list[np.ndarray | None]]]:
    """Preprocessed pictures batch by batch (None = unreadable), decoded by threads while the caller computes."""
    waiting: deque[tuple[list[str], list[Future[np.ndarray | None]]]] = deque()
    with ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="decode") as threads:
        pictures = images.iter_pictures(part, wanted)
        while batch := list(islice(pictures, encoder.batch_size)):
            waiting.append(([image_id for image_id, _ in batch], [threads.submit(_preprocess, encoder, data) for _, data in batch]))
            while len(waiting) > BATCHES_AHEAD:
                ids, futures = waiting.popleft()
                yield ids, [future.result() for future in futures]
        for ids, futures in waiting:
            yield ids, [future.result() for future in futures]


def _preprocess(encoder: ImageEncoder, data: bytes) -> np.ndarray | None:
    try:
        return encoder.preprocess(decode_image(data))
    except UnreadableImage:
        return None
