"""WikiArt as it is usually passed on: `<Style>/<artist>_<title>.jpg`, no emotion labels."""

import json
from pathlib import PurePosixPath

from coemogen_core.data.readers.folder_listing import list_pictures
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem

EXPECTED = "WikiArt's layout: <Style>/<artist>_<title>.jpg"


class WikiArtReader:
    """Reader of WikiArt's style folders; style, artist and title come from the path."""

    version = 1

    def __init__(self, root: str, licence: str | None = None) -> None:
        self.folder = SourceFolder(root)
        self.licence = licence

    def list_items(self) -> list[SourceItem | RejectedFile]:
        """All paintings, sorted by path."""
        return list_pictures(self.folder, EXPECTED, self._describe)

    def join_annotation(self, item: SourceItem) -> SourceItem:
        """The item itself: there are no annotation files."""
        return item

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
