"""Copies of a published dataset for other tools: WebDataset archives, and the folder that clip-retrieval reads."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydantic import Field

from coemogen_core.publication.publication import ROWS_AT_ONCE, ending, published_parts, published_table, read_manifest
from coemogen_core.storage.whole_file import write_atomically, written_whole
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel
from schemas.tables import Curated

RECORD = ".export.json"  # hidden: `datasets` would take it for the data beside a single archive
SHARD_SIZE = 1000
_TEXTS = frozenset(name for name, kind in Curated.create_empty().schema.items() if kind == pl.String)
"""A missing one is written as an empty one: a reader that saw nothing but nulls at first takes no text later."""
_DESCRIBED = ["image_id", "caption", "label", "confidence", "similarity", "width", "height", "split", "artist", "style", "genre", "licence"]


class Export(FrozenModel):
    """What an export wrote."""

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="its published version")
    layout: str = Field(description="webdataset or clip-retrieval")
    rows: int = Field(ge=0, description="pictures")
    files: tuple[str, ...] = Field(description="its shards, or its embeddings and metadata, by their names within the folder")


def export_webdataset(workspace: Workspace, dataset: str, version: str, destination: str, shard_size: int = SHARD_SIZE) -> Export:
    """Write a published version as `00000.tar`, `00001.tar`, ... into a folder or URI; a few pictures at a time are in memory.

    The same version and shard size give the same bytes: times, owners and modes are fixed, the order is that of the parts. Every sample has
    the same keys, for readers learn them and their types from the first few.

    Raises:
        FileNotFoundError: this version was not published.
        ValueError: `shard_size` is below 1.
    """
    if shard_size < 1:
        raise ValueError(f"a shard holds at least one picture, not {shard_size}")
    manifest = read_manifest(workspace, dataset, version)
    target = _cleared(destination)
    curated = published_table(workspace, dataset, version)
    batches = (batch for part in published_parts(manifest) for batch in curated.iter_part(part, Curated.column_names(), ROWS_AT_ONCE))
    rows = (row for batch in batches for row in batch.iter_rows(named=True))
    names: list[str] = []
    count, kind = 0, None
    for first in rows:
        names.append(f"{len(names):05d}.tar")
        kind = kind or _picture_key(first["image"]["bytes"])
        count += _write_shard(target.path(names[-1]), chain([first], islice(rows, shard_size - 1)), kind)
    return _recorded(target, Export(dataset=dataset, version=version, layout="webdataset", rows=count, files=tuple(names)))


def _picture_key(picture: bytes) -> str:
    """What all pictures of an export are called, by the first one: readers go by the content, but `webdataset` decodes no other endings."""
    return "png" if ending(picture) == "png" else "jpg"


def _write_shard(uri: str, rows: Iterable[dict[str, Any]], kind: str) -> int:
    count = 0
    with written_whole(uri) as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for count, row in enumerate(rows, start=1):  # noqa: B007  counted
            for name, data in _members(row, kind):
                member = tarfile.TarInfo(name)  # its time, owner and group are zero
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return count


def _members(row: dict[str, Any], kind: str) -> Iterator[tuple[str, bytes]]:
    key, picture = row["image_id"], row["image"]["bytes"]
    facts = {name: "" if value is None and name in _TEXTS else value for name, value in row.items() if name != "image"}
    facts["path"] = row["image"]["path"]
    yield f"{key}.{kind}", picture
    yield f"{key}.txt", row["caption"].encode()
    yield f"{key}.json", (json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n").encode()


def export_clip_retrieval(workspace: Workspace, dataset: str, version: str, destination: str) -> Export:
    """Write a published version for clip-retrieval into a folder or URI, part by part: one pair of files for each part.

    Raises:
        FileNotFoundError: this version was not published, or the embeddings of a part are gone.
        ValueError: a published picture has no embedding.
    """
    manifest = read_manifest(workspace, dataset, version)
    embeddings = workspace.table("embeddings", manifest.record.source, manifest.record.recipe.encoder_id)
    parts, target, rows = published_parts(manifest), _cleared(destination), 0
    digits = len(str(len(parts) - 1))
    names: list[str] = []
    for number, part in enumerate(parts):
        described = _write_pictures(workspace, dataset, version, part, target)
        vectors = described.select("image_id").join(embeddings.read_part(part), on="image_id", how="left", maintain_order="left")
        if vectors["embedding"].null_count():
            raise ValueError(f"part {part} of {embeddings.uri} lacks pictures that were published: embed the source again")
        name = f"{number:0{digits}d}"
        names += [f"img_emb/img_emb_{name}.npy", f"metadata/metadata_{name}.parquet"]
        write_atomically(target.path(names[-2]), _as_npy(vectors["embedding"].to_numpy()))
        write_atomically(target.path(names[-1]), _as_parquet(described))
        rows += described.height
    return _recorded(target, Export(dataset=dataset, version=version, layout="clip-retrieval", rows=rows, files=tuple(names)))


def _cleared(destination: str) -> Workspace:
    """The folder or URI, without the shards that an earlier export wrote there; nothing else is removed."""
    target = Workspace(destination)
    if target.exists(RECORD):
        earlier = Export.model_validate(target.read_json(RECORD))
        for name in (RECORD, *earlier.files):  # the record first: from here on the folder is no finished export
            if ".." not in name:
                target.remove_file(name)
    return target


def _recorded(target: Workspace, export: Export) -> Export:
    target.write_json(export.model_dump(mode="json"), RECORD)
    return export


def _write_pictures(workspace: Workspace, dataset: str, version: str, part: str, target: Workspace) -> pl.DataFrame:
    """Write the pictures of a part as files; returns what is known of them, with `image_path`."""
    frames = []
    for batch in published_table(workspace, dataset, version).iter_part(part, ["image", *_DESCRIBED], ROWS_AT_ONCE):
        pictures = batch["image"].struct.field("bytes")
        paths = [f"images/{image_id[:2]}/{image_id}.{ending(data)}" for image_id, data in zip(batch["image_id"], pictures, strict=True)]
        for path, data in zip(paths, pictures, strict=True):
            target.write_file(data, path)
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
