"""One picture of everything that a run generated: a row per emotion, a block of columns per method, the same seeds in the same places."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.sample_set import SampleSet

GAP = 8
LABEL_WIDTH = 110
HEADER_HEIGHT = 30
INK, PAPER = (40, 40, 46), (255, 255, 255)


def contact_sheet(
    workspace: Workspace, sample_runs: Mapping[str, str], labels: Mapping[str, str], columns: int = 4, side: int = 96
) -> bytes:
    """PNG of the first samples of every emotion.

    Args:
        workspace: holds the samples.
        sample_runs: by method, the run that holds its samples; methods stand side by side in this order.
        labels: what the methods are called; one that is not there goes by its own name.
        columns: pictures per emotion and method.
        side: size of one picture in pixels.

    Raises:
        FileNotFoundError: samples of an emotion are missing.
    """
    blocks = {labels.get(method, method): _first_samples(workspace, run_id, method, columns) for method, run_id in sample_runs.items()}
    return draw_sheet(blocks, EMOTIONS, columns, side)


def draw_sheet(blocks: Mapping[str, Mapping[str, Sequence[Image.Image]]], emotions: Sequence[str], columns: int, side: int) -> bytes:
    """PNG with a row per emotion and a block of columns per title.

    Args:
        blocks: by title, the pictures of every emotion.
        emotions: rows from top to bottom.
        columns: pictures per emotion and block.
        side: size of one picture in pixels.
    """
    block = columns * side + GAP
    sheet = Image.new("RGB", (LABEL_WIDTH + block * len(blocks), HEADER_HEIGHT + len(emotions) * (side + 2)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    for number, (title, pictures) in enumerate(blocks.items()):
        left = LABEL_WIDTH + number * block
        draw.text((left, 6), title, fill=INK, font=font)
        for row, emotion in enumerate(emotions):
            top = HEADER_HEIGHT + row * (side + 2)
            draw.text((4, top + side // 2 - 10), emotion, fill=INK, font=font)
            for column, picture in enumerate(pictures[emotion][:columns]):
                tile = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
                sheet.paste(tile, (left + column * side, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _first_samples(workspace: Workspace, run_id: str, method: str, count: int) -> dict[str, list[Image.Image]]:
    samples = SampleSet(workspace, run_id, method)
    rows = {emotion: samples.head(emotion, count, ["image"]) for emotion in EMOTIONS}
    if missing := [emotion for emotion in EMOTIONS if rows[emotion].is_empty()]:
        raise FileNotFoundError(f"{samples.table.uri} has no samples of {', '.join(missing)}: generate them first")
    return {emotion: [Image.open(io.BytesIO(picture["bytes"])) for picture in found["image"]] for emotion, found in rows.items()}
