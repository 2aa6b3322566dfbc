"""A plain folder of pictures: `<label>/*.jpg` where the first folder is named by an emotion, anything else is unlabelled."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from coemogen_core.data.readers.reader import SourceReader, known_emotion, list_pictures
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem

EXPECTED = "pictures, in folders named by their emotion where they have one: <emotion>/*.jpg"


class ImageFolderReader(SourceReader):
    """Reader of pictures at any depth; the first folder's name is the label if it is one of the eight emotions."""

    def list_items(self) -> Iterator[SourceItem | RejectedFile]:
        """All pictures, sorted by path."""
        return list_pictures(self.folder, EXPECTED, self._describe)

    def _describe(self, path: str, stamp: FileStamp) -> SourceItem:
        first, *inner = PurePosixPath(path).parts
        return SourceItem(path=path, stamp=stamp, label=known_emotion(first) if inner else None, licence=self.licence)
