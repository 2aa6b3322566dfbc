"""Reduced copies of pictures: bounded in area as a captioner gets them, thumbnails, and sheets of many."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pybase64
from PIL import Image, ImageDraw, ImageFont

from coemogen_core.data.decode import EXIF_ORIENTATION, FORMATS, UnreadableImage, decode_image
from coemogen_core.data.picture_metadata import MetadataBombError, without_odd_metadata

SMALL_SIDE = 96
"""Pictures up to this side are shown enlarged, pixel by pixel, so JPEG artefacts would be visible."""
THUMBNAIL_QUALITY = 85
BOUNDED_QUALITY = 95
SENT_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png"}  # llama.cpp, and what is built on it, decode nothing else
GAP = 8
LABEL_WIDTH = 110
HEADER_HEIGHT = 30
INK, PAPER = (40, 40, 46), (255, 255, 255)


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
        image.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY, optimize=True)
    encoded = pybase64.b64encode_as_string(buffer.getvalue())
    return Thumbnail(f"data:image/{'png' if lossless else 'jpeg'};base64,{encoded}", image.width, image.height)


def draw_sheet(blocks: Mapping[str, Mapping[str, Sequence[Image.Image]]], emotions: Sequence[str], columns: int, side: int) -> bytes:
    """PNG with a row per emotion and a block of `columns` pictures per title, each `side` pixels square.

    Args:
        blocks: by title, the pictures of every emotion.
        emotions: rows from top to bottom.
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


def bounded_picture(data: bytes, max_pixels: int) -> Image.Image:
    """Decode a picture and reduce it to an area of at most `max_pixels`, keeping its aspect ratio.

    Raises:
        UnreadableImage: the bytes cannot be decoded.
    """
    image = decode_image(data)
    area = image.width * image.height
    if area <= max_pixels:
        return image
    scale = math.sqrt(max_pixels / area)
    size = (max(1, math.floor(image.width * scale)), max(1, math.floor(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def data_url(data: bytes, max_pixels: int) -> str:
    """The picture as a `data:` URL: its own bytes where nothing has to change, else a JPEG of what `bounded_picture` makes of it.

    Raises:
        UnreadableImage: the bytes cannot be decoded.
    """
    try:
        data = without_odd_metadata(data, profiles=True)  # a workflow of megabytes helps no captioner
    except MetadataBombError as error:
        raise UnreadableImage("corrupt", f"{error}; remove them") from error
    media_type = _media_type_as_it_is(data, max_pixels)
    if media_type is None:
        buffer = io.BytesIO()
        bounded_picture(data, max_pixels).save(buffer, format="JPEG", quality=BOUNDED_QUALITY)
        media_type, data = "image/jpeg", buffer.getvalue()
    return f"data:{media_type};base64,{pybase64.b64encode_as_string(data)}"


def _media_type_as_it_is(data: bytes, max_pixels: int) -> str | None:
    """Media type of a small, upright, opaque still picture, judged by its header alone; None where it has to be made anew."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            small = image.width * image.height <= max_pixels
            plain = image.mode in ("RGB", "L") and not image.has_transparency_data and getattr(image, "n_frames", 1) == 1
            upright = image.getexif().get(EXIF_ORIENTATION, 1) == 1
            return SENT_AS_THEY_ARE.get(image.format or "") if small and plain and upright else None
    except Exception:  # whatever is wrong with it, decoding will say it properly
        return None
