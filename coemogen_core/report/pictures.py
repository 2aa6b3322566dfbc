"""The pictures of a report: inline ones, and one sheet of many."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from coemogen_core.data.thumbnail import SMALL_SIDE, draw_sheet, thumbnail
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.sample_pictures import EvaluatedSet
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.report.data import Picture
from coemogen_core.storage.workspace import Workspace


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


def contact_sheet(
    workspace: Workspace,
    sample_runs: Mapping[str, str],
    labels: Mapping[str, str],
    emotions: Sequence[str] = EMOTIONS,
    columns: int = 4,
    side: int = 96,
) -> bytes:
    """PNG of the first samples of some emotions, methods side by side.

    Args:
        workspace: holds the samples.
        sample_runs: by method, the run that holds its samples; methods stand side by side in this order.
        labels: what the methods are called; one that is not there goes by its own name.
        emotions: rows from top to bottom.
        columns: pictures per emotion and method.
        side: size of one picture in pixels.

    Raises:
        FileNotFoundError: samples of an emotion are missing.
    """
    blocks = {
        labels.get(method, method): _first_samples(SampleSet(workspace, run_id, method), emotions, columns)
        for method, run_id in sample_runs.items()
    }
    return draw_sheet(blocks, emotions, columns, side)


def _first_samples(samples: SampleSet, emotions: Sequence[str], count: int) -> dict[str, list[Image.Image]]:
    rows = {emotion: samples.head(emotion, count, ["image"]) for emotion in emotions}
    if missing := [emotion for emotion in emotions if rows[emotion].is_empty()]:
        raise FileNotFoundError(f"{samples.table.uri} has no samples of {', '.join(missing)}: generate them first")
    return {emotion: [Image.open(io.BytesIO(picture["bytes"])) for picture in found["image"]] for emotion, found in rows.items()}
