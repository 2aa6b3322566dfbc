"""Pictures for web pages, as data URIs: small ones losslessly as they are, large ones reduced."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

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
