"""What a reader says about one file of a source, before and without reading it: a listed picture or a rejected entry."""

from dataclasses import dataclass
from typing import NoReturn

from coemogen_core.emotions import Emotion
from coemogen_core.errors import CoEmoGenError


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a listing tells about a file's content."""

    size: int | None = None  # bytes; None where the filesystem does not say
    tag: str | None = None  # the store's own content tag (ETag, MD5); None on a local disk
    modified: float | None = None  # modification time in seconds since 1970; None where the filesystem does not say


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of bytes of a container, or of rows, with what it holds."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture lies that is no file of its own."""

    container: str  # path of the archive or table, relative to the source's root
    stamp: FileStamp  # of the container
    start: int  # first byte of the picture in an archive, row of the picture in a table; counted from 0
    beside: tuple[Extent, ...] = ()  # other members of the same sample that are read with it


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One listed picture."""

    path: str  # relative to the source's root, with `/`; unique within a source
    stamp: FileStamp  # of one inside a container, its size (in a table, what rows have on average) and the container's times
    label: Emotion | None = None  # None where the source gives none, here and below
    split: str | None = None  # "train", "val" or "test"
    artist: str | None = None
    style: str | None = None
    genre: str | None = None
    licence: str | None = None
    attributes: str | None = None  # what the source says besides, as JSON text
    annotation: str | None = None  # path of an annotation file, relative to the root, to be joined when the picture is read
    annotation_stamp: FileStamp | None = None
    place: Place | None = None  # where it lies inside a container; None for a file of its own
    label_left_out: str | None = None  # what is given as its label and is none of the eight emotions, in words

    @property
    def inside(self) -> Place:
        """Where it lies inside its container. Raises ValueError when it is a file of its own."""
        if self.place is None:
            raise ValueError(f"{self.path} lies in no container: plan the source again, with the reader that reads it")
        return self.place


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """One listed entry that cannot become an image row."""

    path: str  # of the picture relative to the root, or `train.json#12` for an entry (counted from 0) that names no usable file
    reason: str  # short and countable
    detail: str  # what was found, and the remedy


class UnusableItem(CoEmoGenError, ValueError):  # noqa: N818 (what is wrong is the item)
    """A listed picture that turns out unusable when it is read; becomes a `RejectedFile`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def refuse(self) -> NoReturn:
        """Raise it: the `LoadItem` of a picture that is known to be unusable."""
        raise self


def printable(text: str) -> str:
    """Text that every table can hold: file names and JSON may carry lone surrogates, which are no valid Unicode text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
