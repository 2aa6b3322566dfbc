"""The folder of an export: `export.json`, written last, says what it holds, so that the next export into it leaves nothing stale behind."""

import json

import fsspec
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.data.whole_file import write_atomically

RECORD = "export.json"


class Export(BaseModel):
    """What an export wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="its published version")
    layout: str = Field(description="webdataset or clip-retrieval")
    rows: int = Field(ge=0, description="pictures")
    files: tuple[str, ...] = Field(description="its shards, or its embeddings and metadata, by their names within the folder")


def clear_earlier(destination: str) -> None:
    """Remove the shards that an earlier export into this folder or URI wrote, and nothing else."""
    filesystem, folder = fsspec.core.url_to_fs(destination.rstrip("/"))
    if not filesystem.exists(f"{folder}/{RECORD}"):
        return
    earlier = Export.model_validate_json(filesystem.cat_file(f"{folder}/{RECORD}"))
    filesystem.rm_file(f"{folder}/{RECORD}")  # first: from here on the folder is no finished export
    for name in earlier.files:
        if ".." not in name and filesystem.exists(f"{folder}/{name}"):
            filesystem.rm_file(f"{folder}/{name}")


def record_export(destination: str, export: Export) -> Export:
    """Write `export.json`; returns the export."""
    text = json.dumps(export.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    write_atomically(f"{destination.rstrip('/')}/{RECORD}", text.encode())
    return export
