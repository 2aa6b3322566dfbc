"""WikiArt as it is usually passed on: `<Style>/<artist>_<title>.jpg`, no emotion labels; with its public list files."""

import csv
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from coemogen_core.data.readers.reader import SourceReader, list_pictures
from coemogen_core.data.source_folder import SourceFolder, safe_relative_path, same_name
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, UnusableItem, printable

TASKS = ("style", "genre", "artist")
LISTS = ("train", "val", "test")
LIST_FILES = {f"{task}_{part}" for task in TASKS for part in ("class.txt", *(f"{name}.csv" for name in LISTS))}

logger = logging.getLogger(__name__)


@dataclass
class WikiArtLists:
    """What the list files say."""

    classes: dict[str, dict[str, str]] = field(default_factory=dict)  # of every listed painting, by path: known class by task
    rejected: list[RejectedFile] = field(default_factory=list)  # lines that say nothing usable
    named_by: dict[str, str] = field(default_factory=dict)  # list file that names a painting first


def read_lists(folder: SourceFolder) -> WikiArtLists:
    """The list files of a source; nothing where there are none. Raises OSError when a remote store failed; trying again may help."""
    lists = WikiArtLists()
    for task in TASKS:
        names = _class_names(folder, task)
        for name in (f"{task}_{part}.csv" for part in LISTS):
            for number, line in enumerate(_lines(folder, name)):
                _read_line(lists, task, names, line, f"{name}#{number}")
    return lists


def _read_line(lists: WikiArtLists, task: str, names: dict[str, str], line: str, where: str) -> None:
    values = next(csv.reader([line]), [])
    path, index = ",".join(values[:-1]), values[-1] if values else ""  # a name that holds a comma is quoted, or is not
    try:
        if not index.strip().isdecimal():
            raise UnusableItem("broken list entry", f"{line[:200]!r} is no '<Style>/<file>.jpg,<class number>'; mend the line")
        path = same_name(safe_relative_path(path.strip()))
        lists.named_by.setdefault(path, where)
        classes = lists.classes.setdefault(path, {})
        if index.strip() not in names:
            raise UnusableItem("unknown class", f"{path}: {task}_class.txt has no class {index.strip()[:20]}; add it or correct the line")
        if classes.setdefault(task, names[index.strip()]) != names[index.strip()]:
            raise UnusableItem("contradictory class", f"{path} is {classes[task]!r} in a line before, here {names[index.strip()]!r}")
    except UnusableItem as error:
        lists.rejected.append(RejectedFile(where, error.reason, printable(error.detail)))


def _class_names(folder: SourceFolder, task: str) -> dict[str, str]:
    pairs = (line.strip().partition(" ") for line in _lines(folder, f"{task}_class.txt"))
    return {index: printable(name.strip()) for index, _, name in pairs if name.strip()}


def _lines(folder: SourceFolder, name: str) -> Iterator[str]:
    for place in (folder, folder.parent()):
        try:
            text = place.read(name).decode("utf-8", "replace") if place is not None else ""
        except UnusableItem as error:
            if error.reason != "missing file":
                logger.warning("%s/%s is left out: %s", place.root if place is not None else "", name, error)
            continue
        if text:
            yield from (line for line in text.lstrip("\ufeff").replace("\r\n", "\n").split("\n") if line.strip())  # no other breaks
            return


EXPECTED = "WikiArt's layout: <Style>/<artist>_<title>.jpg"


class WikiArtReader(SourceReader):
    """Reader of WikiArt's style folders; style, artist and title come from the path, and from the list files where they lie there."""

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All paintings, sorted by path; then what the list files name and the folders do not hold, and broken lines."""
        lists = read_lists(self.folder)
        for entry in list_pictures(self.folder, EXPECTED, self._describe, LIST_FILES):
            lists.named_by.pop(same_name(entry.path), None)
            classes = lists.classes.get(same_name(entry.path), {})
            yield _classed(entry, classes) if isinstance(entry, SourceItem) else entry
        for path, where in sorted(lists.named_by.items()):
            yield RejectedFile(path, "missing file", f"{where}: {path} does not exist; restore it or take it off the list")
        yield from lists.rejected

    def _describe(self, path: str, stamp: FileStamp) -> SourceItem | RejectedFile:
        parts = PurePosixPath(path).parts
        if len(parts) != 2:
            detail = f"a painting lies in exactly one folder, named by its style ({EXPECTED}); move it"
            return RejectedFile(path, "outside the layout", detail)
        artist, separator, title = PurePosixPath(path).stem.partition("_")
        return SourceItem(
            path=path,
            stamp=stamp,
            artist=artist if separator else None,
            style=parts[0],
            licence=self.licence,
            attributes=json.dumps({"title": title if separator else artist}),
        )


def _classed(item: SourceItem, classes: Mapping[str, str]) -> SourceItem:
    style, genre, artist = classes.get("style", item.style), classes.get("genre", item.genre), classes.get("artist", item.artist)
    return replace(item, style=style, genre=genre, artist=artist)
