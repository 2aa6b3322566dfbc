"""The layouts that can be read, by name. A new reader is one file beside this one and one line here."""

from collections.abc import Callable
from typing import Literal

from coemogen_core.data.readers.emoset import EmoSetReader
from coemogen_core.data.readers.image_folder import ImageFolderReader
from coemogen_core.data.readers.reader import SourceReader
from coemogen_core.data.readers.wikiart import WikiArtReader

Layout = Literal["emoset", "wikiart", "image_folder"]

READERS: dict[str, Callable[[str, str | None], SourceReader]] = {
    "emoset": EmoSetReader,
    "wikiart": WikiArtReader,
    "image_folder": ImageFolderReader,
}


def open_reader(layout: Layout, root: str, licence: str | None = None) -> SourceReader:
    """Reader of a source; nothing is read yet.

    Args:
        layout: how the pictures lie.
        root: folder or URI of the source.
        licence: licence of every picture, written into every row.

    Raises:
        ValueError: no such layout.
    """
    if layout not in READERS:
        raise ValueError(f"unknown layout {layout!r}; expected one of: {', '.join(READERS)}")
    return READERS[layout](root, licence)
