"""A plain folder of pictures: `<label>/*.jpg` where the first folder is named by an emotion, anything else is unlabelled."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from coemogen_core.data.readers.listing import list_pictures
from coemogen_core.data.readers.reader import LoadItem, load_files
from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem
from coemogen_core.emotions import Emotion, parse_emotion

EXPECTED = "pictures, in folders named by their emotion where they have one: <emotion>/*.jpg"


class ImageFolderReader:
    """Reader of pictures at any depth; the first folder's name is the label if it is one of the eight emotions."""

    version = 1

    def __init__(self, root: str, licence: str | None = None) -> None:
        self.folder = SourceFolder(root)
        self.licence = licence

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All pictures, sorted by path."""
        return list_pictures(self.folder, EXPECTED, self._describe)

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """A file each; there are no annotations."""
        return load_files(self.folder, items)

    def _describe(self, path: str, stamp: FileStamp) -> SourceItem:
        return SourceItem(path=path, stamp=stamp, label=_label(path), licence=self.licence)


def _label(path: str) -> Emotion | None:
    parts = PurePosixPath(path).parts
    try:
        return parse_emotion(parts[0]) if len(parts) > 1 else None
    except ValueError:
        return None
