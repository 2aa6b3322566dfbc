"""What every reader of a source does: list its pictures without reading them, and load them with their annotations, a part at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from coemogen_core.data.source_folder import SourceFolder
from coemogen_core.data.source_item import RejectedFile, SourceItem

LoadItem = Callable[[], tuple[SourceItem, bytes]]
"""Gives a picture's bytes, and the item with what its annotation says; called once, on any thread.

Raises:
    UnusableItem: the picture cannot be read, or its annotation is broken or contradicts the listing.
    OSError: a remote store failed; trying again may help.
"""


class SourceReader(Protocol):
    """One layout of pictures on disk.

    Attributes:
        version: part of the ingest recipe; raise it when the same files give other rows.
        folder: the source's root.
    """

    version: int
    folder: SourceFolder

    def list_items(self) -> Iterable[SourceItem | RejectedFile]:
        """Everything that the source lists, in an order that depends on its content alone; of containers, headers and footers are read.

        Raises:
            FileNotFoundError, NotADirectoryError: the root is not what the layout needs.
            ValueError: the source is empty or its list files are unreadable; the message names file and remedy.
        """
        ...

    def load_items(self, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
        """For each item, in the given order, what loads it.

        A layout of single files does all its reading there, on whichever thread calls; a reader of tables may read ahead of the calls, as
        far as the iterator is advanced.
        """
        ...


def load_files(folder: SourceFolder, items: Sequence[SourceItem]) -> Iterator[LoadItem]:
    """Items that are files of their own and have no annotation."""
    return (partial(_load_file, folder, item) for item in items)


def _load_file(folder: SourceFolder, item: SourceItem) -> tuple[SourceItem, bytes]:
    return item, folder.read(item.path, item.stamp)
