"""The pictures of a report."""

from coemogen_core.data.thumbnail import SMALL_SIDE, thumbnail
from coemogen_core.evaluation.report.data import Picture


def inline_picture(data: bytes, alt: str, side: int = 256) -> Picture:
    """An encoded picture as an inline one, at most `side` pixels wide and high.

    Raises:
        UnreadableImage: the bytes are no usable picture.
    """
    small = thumbnail(data, side)
    return Picture(data_uri=small.data_uri, width=small.width, height=small.height, alt=alt)


def display_width(picture: Picture, target: int) -> int:
    """Width in CSS pixels that fits a `target` x `target` square: a whole multiple for small pictures, so that pixels stay square."""
    longest = max(picture.width, picture.height)
    scale = target // longest if longest <= target else target / longest
    return max(round(picture.width * scale), 1)


def is_pixel_art(picture: Picture) -> bool:
    """Whether the picture is small enough to be shown pixel by pixel."""
    return max(picture.width, picture.height) <= SMALL_SIDE
