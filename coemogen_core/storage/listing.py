"""Listings of a workspace with sizes and times, by whatever names its store calls them."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coemogen_core.storage.location import resolve
from coemogen_core.storage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a workspace."""

    name: str  # below the folder that was listed
    path: str  # in its store
    bytes: int
    written: float  # seconds since 1970; now, where the store does not say


def files_below(workspace: Workspace, *folder: str) -> Iterator[StoredFile]:
    """All files below a folder, hidden ones too; none where there is no such folder."""
    filesystem, path = resolve(workspace.path(*folder))
    found = filesystem.find(path, detail=True).values()
    yield from _files(path, (info for info in found if info["name"] != path))  # a file in the place of the folder


def files_in(workspace: Workspace, *folder: str) -> Iterator[StoredFile]:
    """The files in a folder itself, likewise."""
    filesystem, path = resolve(workspace.path(*folder))
    try:
        yield from _files(path, (info for info in filesystem.ls(path, detail=True) if info["type"] == "file"))
    except FileNotFoundError:
        return


def written_since(workspace: Workspace, moment: float, *names: str) -> bool:
    """Whether there is such a file, and it was written then or later."""
    filesystem, path = resolve(workspace.path(*names))
    try:
        return _written(filesystem.info(path)) >= moment
    except FileNotFoundError:
        return False


def _files(folder: str, found: Iterable[dict[str, Any]]) -> Iterator[StoredFile]:
    for info in found:
        path = info["name"]
        yield StoredFile(path.removeprefix(folder).strip("/"), path, int(info["size"] or 0), _written(info))


def _written(info: Mapping[str, Any]) -> float:
    moment = next((info[name] for name in ("mtime", "LastModified", "updated", "last_modified", "created") if info.get(name)), time.time())
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
