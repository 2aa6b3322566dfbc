"""Export to clip-retrieval's layout: `img_emb/img_emb_<n>.npy`, `metadata/metadata_<n>.parquet` and the pictures themselves.

`image_path` is relative to the export, so start the service there (`make search` does). There is no `text_emb`: the alignment keeps the
similarity of each caption, not its vector, and pictures are found by words without it.
"""

import io

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from coemogen_core.curation.export_folder import Export, clear_earlier, record_export
from coemogen_core.curation.published_rows import ROWS_AT_ONCE, ending, published_parts, read_manifest
from coemogen_core.data.whole_file import write_atomically
from coemogen_core.data.workspace import Workspace

_DESCRIBED = ["image_id", "caption", "label", "confidence", "similarity", "width", "height", "split", "artist", "style", "genre", "licence"]


def export_clip_retrieval(workspace: Workspace, dataset: str, version: str, destination: str) -> Export:
    """Write a published version for clip-retrieval into a folder or URI, part by part: one pair of files for each part.

    Raises:
        FileNotFoundError: this version was not published, or the embeddings of a part are gone.
        ValueError: a published picture has no embedding.
    """
    manifest = read_manifest(workspace, dataset, version)
    embeddings = workspace.table("embeddings", manifest.record.source, manifest.record.recipe.encoder_id)
    parts, root, rows = published_parts(manifest), destination.rstrip("/"), 0
    digits = len(str(len(parts) - 1))
    names: list[str] = []
    clear_earlier(destination)
    for number, part in enumerate(parts):
        described = _write_pictures(workspace, dataset, version, part, root)
        vectors = described.select("image_id").join(embeddings.read_part(part), on="image_id", how="left", maintain_order="left")
        if vectors["embedding"].null_count():
            raise ValueError(f"part {part} of {embeddings.uri} lacks pictures that were published: embed the source again")
        name = f"{number:0{digits}d}"
        names += [f"img_emb/img_emb_{name}.npy", f"metadata/metadata_{name}.parquet"]
        write_atomically(f"{root}/{names[-2]}", _as_npy(vectors["embedding"].to_numpy()))
        write_atomically(f"{root}/{names[-1]}", _as_parquet(described))
        rows += described.height
    export = Export(dataset=dataset, version=version, layout="clip-retrieval", rows=rows, files=tuple(names))
    return record_export(destination, export)


def _write_pictures(workspace: Workspace, dataset: str, version: str, part: str, root: str) -> pl.DataFrame:
    """Write the pictures of a part as files; returns what is known of them, with `image_path`."""
    frames = []
    for batch in workspace.table("curated", dataset, version).iter_part(part, ["image", *_DESCRIBED], ROWS_AT_ONCE):
        pictures = batch["image"].struct.field("bytes")
        paths = [f"images/{image_id[:2]}/{image_id}.{ending(data)}" for image_id, data in zip(batch["image_id"], pictures, strict=True)]
        for path, data in zip(paths, pictures, strict=True):
            write_atomically(f"{root}/{path}", data)
        frames.append(batch.select(pl.Series("image_path", paths), *_DESCRIBED))
    return pl.concat(frames)


def _as_npy(vectors: np.ndarray) -> memoryview:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(vectors, dtype=np.float16))
    return buffer.getbuffer()


def _as_parquet(rows: pl.DataFrame) -> memoryview:
    """Plain strings and snappy: clip-retrieval reads it with a pyarrow from 2024."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="snappy")
    return buffer.getbuffer()
