"""The pictures of a report."""

from collections.abc import Sequence

from coemogen_core.data.thumbnail import SMALL_SIDE, thumbnail
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.workspace_pictures import EvaluatedSet
from coemogen_core.report.data import Picture


def inline_picture(data: bytes, alt: str, side: int = 256) -> Picture:
    """An encoded picture as an inline one, at most `side` pixels wide and high.

    Raises:
        UnreadableImage: the bytes are no usable picture.
    """
    small = thumbnail(data, side)
    return Picture(data_uri=small.data_uri, width=small.width, height=small.height, alt=alt)


def inline_samples(evaluated: EvaluatedSet, rows: Sequence[int], alt: str, side: int) -> list[Picture]:
    """Pictures of some rows for the page; `alt` says after the emotion and the number what they are."""
    places = [evaluated.places[row] for row in rows]
    return [
        inline_picture(data, f"{EMOTIONS[emotion]} {number + 1}, {alt}", side)
        for (emotion, number), data in zip(places, evaluated.encoded(rows), strict=True)
    ]


def display_width(picture: Picture, target: int) -> int:
    """Width in CSS pixels that fits a `target` x `target` square: a whole multiple for small pictures, so that pixels stay square."""
    longest = max(picture.width, picture.height)
    scale = target // longest if longest <= target else target / longest
    return max(round(picture.width * scale), 1)


def is_pixel_art(picture: Picture) -> bool:
    """Whether the picture is small enough to be shown pixel by pixel."""
    return max(picture.width, picture.height) <= SMALL_SIDE
