"""WikiArt as it is usually passed on: `<Style>/<artist>_<title>.jpg`, no emotion labels; with its public list files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from coemogen_core.data.readers.folder_listing import list_pictures
from coemogen_core.data.readers.reader import LoadItem, load_files
from coemogen_core.data.readers.wikiart_lists import read_lists
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem

EXPECTED = "WikiArt's layout: <Style>/<artist>_<title>.jpg"


class WikiArtReader:
    """Reader of WikiArt's style folders; style, artist and title come from the path, and from the list files where they lie there."""

    version = 1

    def __init__(self, root: str, licence: str | None = None) -> None:
        self.folder = SourceFolder(root)
        self.licence = licence

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All paintings, sorted by path; then what the list files name and the folders do not hold, and broken lines."""
        lists = read_lists(self.folder)
        for entry in list_pictures(self.folder, EXPECTED, self._describe):
            lists.named_by.pop(entry.path, None)
            classes = lists.classes.get(entry.path, {})
            yield _classed(entry, classes) if isinstance(entry, SourceItem) else entry
        for path, where in sorted(lists.named_by.items()):
            yield RejectedFile(path, "missing file", f"{where}: {path} does not exist; restore it or take it off the list")
        yield from lists.rejected

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """A file each; there are no annotations."""
        return load_files(self.folder, items)

    def _describe(self, path: str, stamp: FileStamp) -> SourceItem | RejectedFile:
        parts = PurePosixPath(path).parts
        if len(parts) != 2:
            return RejectedFile(
                path, "outside the layout", f"a painting lies in exactly one folder, named by its style ({EXPECTED}); move it"
            )
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
