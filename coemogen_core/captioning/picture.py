"""Pictures on their way to a captioner: upright, RGB, and no larger than it needs."""

import io
import math

import pybase64
from PIL import Image

from coemogen_core.data.decode import EXIF_ORIENTATION, FORMATS, decode_image

SENT_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
JPEG_QUALITY = 95


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
    media_type = _media_type_as_it_is(data, max_pixels)
    if media_type is None:
        buffer = io.BytesIO()
        bounded_picture(data, max_pixels).save(buffer, format="JPEG", quality=JPEG_QUALITY)
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
