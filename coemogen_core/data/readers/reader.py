"""What every reader of a source does: list its pictures without reading them, and join a picture's annotation when it is read."""

from typing import Protocol

from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import RejectedFile, SourceItem


class SourceReader(Protocol):
    """One layout of pictures on disk.

    Attributes:
        version: part of the ingest recipe; raise it when the same files give other rows.
        folder: the source's root.
    """

    version: int
    folder: SourceFolder

    def list_items(self) -> list[SourceItem | RejectedFile]:
        """Everything that the source lists, in an order that depends on its content alone.

        Raises:
            FileNotFoundError, NotADirectoryError: the root is not what the layout needs.
            ValueError: the source is empty or its list files are unreadable; the message names file and remedy.
        """
        ...

    def join_annotation(self, item: SourceItem) -> SourceItem:
        """The item with what its annotation file says; the item itself where the layout has no such files.

        Raises:
            UnusableItem: the annotation is broken or contradicts the listing.
        """
        ...
