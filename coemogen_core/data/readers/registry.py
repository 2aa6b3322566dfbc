"""The layouts that can be read, by name. A new reader is one file beside this one and one line here."""

from coemogen_core.data.readers.emoset import EmoSetReader
from coemogen_core.data.readers.hf_parquet import HfParquetReader
from coemogen_core.data.readers.image_folder import ImageFolderReader
from coemogen_core.data.readers.reader import SourceReader
from coemogen_core.data.readers.webdataset import WebDatasetReader
from coemogen_core.data.readers.wikiart import WikiArtReader
from schemas.choices import Layout

READERS: dict[str, type[SourceReader]] = {
    "emoset": EmoSetReader,
    "wikiart": WikiArtReader,
    "image_folder": ImageFolderReader,
    "hf_parquet": HfParquetReader,
    "webdataset": WebDatasetReader,
}


def open_reader(layout: Layout, root: str, licence: str | None = None, image_column: str | None = None) -> SourceReader:
    """Reader of a source; nothing is read yet.

    Args:
        root: folder or URI of the source.
        licence: of every picture that the source gives none for.
        image_column: column of the pictures in `hf_parquet`; None = found by its name or type.

    Raises:
        ValueError: no such layout, or a column for a layout without columns.
    """
    if layout not in READERS:
        raise ValueError(f"unknown layout {layout!r}; expected one of: {', '.join(READERS)}")
    if layout == "hf_parquet":
        return HfParquetReader(root, licence, image_column)
    if image_column is not None:
        raise ValueError(f"layout {layout} has no columns: leave image_column out, or read the source as hf_parquet")
    return READERS[layout](root, licence)
