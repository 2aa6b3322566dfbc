"""Listing of sources that are nothing but folders of pictures: shared by the WikiArt and the image-folder reader."""

import logging
from collections.abc import Callable, Iterator

from coemogen_core.data.source_folder import SourceFolder, is_picture, is_plain_text
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, printable

logger = logging.getLogger(__name__)

Describe = Callable[[str, FileStamp], SourceItem | RejectedFile]


def list_pictures(folder: SourceFolder, expected: str, describe: Describe) -> Iterator[SourceItem | RejectedFile]:
    """Every file whose name ends like a picture's, sorted by path; never more than the entries of one folder are in memory.

    Args:
        folder: the source's root.
        expected: the layout in words, for error messages.
        describe: makes an item (or a rejection) of a relative path and a stamp.

    Raises:
        FileNotFoundError, NotADirectoryError: the root is no folder.
        ValueError: there is no picture below it.
    """
    folder.require(expected)
    pictures = others = 0
    for path, stamp in folder.walk():
        if is_picture(path):
            pictures += 1
            yield _describe_safely(path, stamp, describe)
        else:
            others += 1
    if not pictures:
        raise ValueError(f"source folder {folder.root} holds no pictures ({others} other files): expected {expected}")
    if others:
        logger.info("%s: %d files whose names do not end like a picture's are left out", folder.root, others)


def _describe_safely(path: str, stamp: FileStamp | None, describe: Describe) -> SourceItem | RejectedFile:
    if not is_plain_text(path):
        detail = "the name is no valid Unicode text or has control characters; rename the file"
        return RejectedFile(printable(path), "unusable file name", detail)
    if stamp is None:
        return RejectedFile(
            path, "not a regular file", "a pipe, a device, a dead or circular link; put the picture itself there or remove it"
        )
    return describe(path, stamp)
