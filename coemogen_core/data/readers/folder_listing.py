"""Listing of sources that are nothing but folders of pictures: shared by the WikiArt and the image-folder reader."""

import logging
from collections.abc import Callable

from coemogen_core.data.source_folder import SourceFolder, is_picture, is_plain_text
from coemogen_core.data.source_item import FileStamp, RejectedFile, SourceItem, printable

logger = logging.getLogger(__name__)

Describe = Callable[[str, FileStamp], SourceItem | RejectedFile]


def list_pictures(folder: SourceFolder, expected: str, describe: Describe) -> list[SourceItem | RejectedFile]:
    """Every file whose name ends like a picture's, sorted by path.

    Args:
        folder: the source's root.
        expected: the layout in words, for error messages.
        describe: makes an item (or a rejection) of a relative path and a stamp.

    Raises:
        FileNotFoundError, NotADirectoryError: the root is no folder.
        ValueError: there is no picture below it.
    """
    folder.require(expected)
    files = folder.files()
    pictures = sorted((path for path in files if is_picture(path)), key=printable)
    if not pictures:
        raise ValueError(f"source folder {folder.root} holds no pictures ({len(files)} other files): expected {expected}")
    if len(pictures) < len(files):
        logger.info("%s: %d files whose names do not end like a picture's are left out", folder.root, len(files) - len(pictures))
    return [_describe_safely(path, files[path], describe) for path in pictures]


def _describe_safely(path: str, stamp: FileStamp | None, describe: Describe) -> SourceItem | RejectedFile:
    if not is_plain_text(path):
        detail = "the name is no valid Unicode text or has control characters; rename the file"
        return RejectedFile(printable(path), "unusable file name", detail)
    if stamp is None:
        return RejectedFile(
            path, "not a regular file", "a pipe, a device, a dead or circular link; put the picture itself there or remove it"
        )
    return describe(path, stamp)
