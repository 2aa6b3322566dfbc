"""Pictures as data URIs: small ones losslessly as they are, large ones as JPEG thumbnails."""

import base64
import io

from PIL import Image

from coemogen_core.data.decode import decode_image
from coemogen_core.evaluation.report.data import Picture

LOSSLESS_SIDE = 96
"""Pictures up to this side are shown pixel by pixel, so JPEG artefacts would be visible."""


def inline_picture(data: bytes, alt: str, side: int = 256) -> Picture:
    """An encoded picture as an inline one, at most `side` pixels wide and high.

    Raises:
        UnreadableImage: the bytes are no usable picture.
    """
    image = decode_image(data)
    lossless = max(image.size) <= LOSSLESS_SIDE
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=82, optimize=True)
    kind = "png" if lossless else "jpeg"
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(data_uri=f"data:image/{kind};base64,{encoded}", width=image.width, height=image.height, alt=alt)


def display_width(picture: Picture, target: int) -> int:
    """Width in CSS pixels that fits a `target` x `target` square: a whole multiple for small pictures, so that pixels stay square."""
    longest = max(picture.width, picture.height)
    scale = target // longest if longest <= target else target / longest
    return max(round(picture.width * scale), 1)


def is_pixel_art(picture: Picture) -> bool:
    """Whether the picture is small enough to be shown pixel by pixel."""
    return max(picture.width, picture.height) <= LOSSLESS_SIDE
