"""Small copies of pictures: thumbnails, and sheets of many."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from coemogen_core.data.decode import decode_image

SMALL_SIDE = 96
"""Pictures up to this side are shown enlarged, pixel by pixel, so JPEG artefacts would be visible."""
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture as a data URI, with its size in pixels."""

    data_uri: str
    width: int
    height: int


def thumbnail(data: bytes, side: int) -> Thumbnail:
    """An encoded picture as a PNG, or above `SMALL_SIDE` as a JPEG of at most `side` pixels on the longer side.

    Raises:
        UnreadableImage: the bytes are no usable picture.
    """
    image = decode_image(data)
    lossless = max(image.size) <= SMALL_SIDE
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/{'png' if lossless else 'jpeg'};base64,{encoded}", image.width, image.height)


GAP = 8
LABEL_WIDTH = 110
HEADER_HEIGHT = 30
INK, PAPER = (40, 40, 46), (255, 255, 255)


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
