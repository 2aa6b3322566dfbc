"""Export to WebDataset: tar files of `<image_id>.jpg` (or its true format), `.txt` (the caption) and `.json` (all other columns)."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from coemogen_core.curation.export_folder import Export, clear_earlier, record_export
from coemogen_core.curation.published_rows import ROWS_AT_ONCE, ending, published_parts, read_manifest
from coemogen_core.data.whole_file import written_whole
from coemogen_core.data.workspace import Workspace
from schemas.tables import Curated

SHARD_SIZE = 1000


def export_webdataset(workspace: Workspace, dataset: str, version: str, destination: str, shard_size: int = SHARD_SIZE) -> Export:
    """Write a published version as `00000.tar`, `00001.tar`, ... into a folder or URI; a few pictures at a time are in memory.

    The same version and shard size give the same bytes: times, owners and modes are fixed, the order is that of the parts.

    Raises:
        FileNotFoundError: this version was not published.
        ValueError: `shard_size` is below 1.
    """
    if shard_size < 1:
        raise ValueError(f"a shard holds at least one picture, not {shard_size}")
    manifest = read_manifest(workspace, dataset, version)
    clear_earlier(destination)
    curated = workspace.table("curated", dataset, version)
    batches = (batch for part in published_parts(manifest) for batch in curated.iter_part(part, Curated.column_names(), ROWS_AT_ONCE))
    rows = (row for batch in batches for row in batch.iter_rows(named=True))
    names: list[str] = []
    count = 0
    for first in rows:
        names.append(f"{len(names):05d}.tar")
        count += _write_shard(f"{destination.rstrip('/')}/{names[-1]}", chain([first], islice(rows, shard_size - 1)))
    export = Export(dataset=dataset, version=version, layout="webdataset", rows=count, files=tuple(names))
    return record_export(destination, export)


def _write_shard(uri: str, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with written_whole(uri) as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for count, row in enumerate(rows, start=1):  # noqa: B007  counted
            for name, data in _members(row):
                member = tarfile.TarInfo(name)  # its time, owner and group are zero
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return count


def _members(row: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    key, picture = row["image_id"], row["image"]["bytes"]
    facts = {name: value for name, value in row.items() if name != "image"} | {"path": row["image"]["path"]}
    yield f"{key}.{ending(picture)}", picture
    yield f"{key}.txt", row["caption"].encode()
    yield f"{key}.json", (json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n").encode()
