"""Safe decoding of pictures from anywhere: everything comes out as an upright RGB image, or as one countable reason why not.

Only six common formats are tried, so that no exotic decoder ever runs on foreign bytes, and the size that a header claims is
checked before a pixel is allocated. Pillow's `LOAD_TRUNCATED_IMAGES` stays off: half a picture is no picture.
"""

import io
import threading
from contextlib import nullcontext

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from coemogen_core.data.picture_metadata import without_odd_metadata
from coemogen_core.errors import CoEmoGenError

DECODER_VERSION = 2
"""Part of every ingest recipe: raise it when another set of files is accepted or a picture decodes differently."""

_PLUGINS = (JpegImagePlugin, PngImagePlugin, WebPImagePlugin, GifImagePlugin, BmpImagePlugin, TiffImagePlugin)  # registered by their import
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
MAX_DECODING_BYTES = 640 * 2**20
LARGE_PIXELS = 16_000_000
STRIP_PIXELS = 4_000_000
EXIF_ORIENTATION = 0x0112

_one_large_picture = threading.Lock()  # threads decode in parallel, but never two pictures that take hundreds of MiB each


class UnreadableImage(CoEmoGenError, ValueError):  # noqa: N818 (what is wrong is the picture)
    """Bytes that are no usable picture.

    Attributes:
        reason: short and countable: "empty file", "not an image", "truncated", "corrupt", "too many pixels",
            "unsupported colours", "out of memory".
        detail: the decoder's own words and the remedy.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a whole picture into mode "RGB", fully loaded.

    EXIF orientation is applied, transparency is laid on white, CMYK, palette, grey and 16-bit pictures become 8-bit RGB; of an
    animation the first frame is taken. Colour profiles are ignored.

    Args:
        data: the file's bytes: JPEG, PNG, WebP, GIF, BMP or TIFF, whatever its name says.
        max_pixels: pictures whose header claims more (width x height) are refused unread.

    Raises:
        UnreadableImage: with a reason to count and a detail to read.
    """
    if not data:
        raise UnreadableImage("empty file", "the file has no bytes; fetch it again or remove it")
    try:
        with _open(without_odd_metadata(data)) as image:
            _check_size(image, max_pixels)
            with _one_large_picture if image.width * image.height > LARGE_PIXELS else nullcontext():
                picture = _upright(_to_rgb(_load(image)), _orientation(image))
                picture.info = {}  # an orientation left in the metadata would be applied a second time further on
                return picture
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("out of memory", "decoding takes more memory than there is; reduce the picture or remove it") from error
    except Exception as error:  # a decoder fed with hostile bytes raises almost anything
        raise UnreadableImage("corrupt", f"{_describe(error)}; fetch the file again or remove it") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if _known_signature(data):
            raise UnreadableImage(
                "corrupt", "the file starts like a picture, but its header is broken; fetch it again or remove it"
            ) from error
        start = data[:8].hex(" ")
        raise UnreadableImage("not an image", f"no {', '.join(FORMATS)} file: it starts with {start}; convert or remove it") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage("too many pixels", f"{error}; reduce the picture or remove it") from error


def _known_signature(data: bytes) -> bool:
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*")
    return data.startswith(starts) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")


def _check_size(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        claim = f"{image.width} x {image.height} = {pixels:,} pixels, allowed are {max_pixels:,}"
        raise UnreadableImage("too many pixels", f"{claim}; reduce the picture or remove it")
    memory = pixels * _bytes_per_pixel(image)
    if memory > MAX_DECODING_BYTES:
        claim = f"{pixels:,} pixels of {image.format} in mode {image.mode} take {memory / 2**20:,.0f} MiB to decode"
        raise UnreadableImage("too many pixels", f"{claim}, allowed are {MAX_DECODING_BYTES // 2**20}; reduce the picture or remove it")


def _bytes_per_pixel(image: Image.Image) -> int:
    """Memory that decoding takes at its peak, for each pixel: Pillow's own copy, what the decoder holds besides, the copies made here."""
    stored = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "LA": 4}.get(image.mode, 4)
    decoder = 0
    if image.format == "JPEG" and image.info.get("progressive"):
        decoder = 2 * len(image.getbands())  # all coefficients
    elif image.format == "WEBP":
        decoder = 12  # two canvases and the frame
    elif image.format == "TIFF":
        decoder = stored  # a strip may be the whole picture
    copies = 4 if image.mode != "RGB" or image.has_transparency_data else 0
    copies += 8 if image.mode == "F" else 0  # its range is looked for in the whole picture
    copies += 4 if _orientation_in_header(image) != 1 else 0
    return stored + decoder + copies


def _load(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except (OSError, SyntaxError, EOFError) as error:
        reason = "truncated" if isinstance(error, EOFError) or "truncated" in str(error).lower() else "corrupt"
        raise UnreadableImage(reason, f"{_describe(error)}; fetch the file again or remove it") from error
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Strip by strip, so that a large picture is never held a third time."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    unit_range = image.mode == "F" and _lies_in_unit_range(image)
    canvas = Image.new("RGB", image.size, "white")
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if image.mode.startswith("I") or image.mode == "F":
            canvas.paste(_eight_bit(strip, unit_range), (0, top))
        elif image.has_transparency_data:
            layer = strip.convert("RGBA")
            canvas.paste(layer, (0, top), mask=layer)
        else:
            try:
                canvas.paste(strip.convert("RGB"), (0, top))
            except ValueError as error:
                raise UnreadableImage("unsupported colours", f"mode {image.mode}: {error}; convert the picture to RGB") from error
    return canvas


def _eight_bit(image: Image.Image, unit_range: bool) -> Image.Image:
    """Grey pictures of more than 8 bits: integers are read as 16 bits wide, floats as [0, 1] where all lie there, or else as [0, 255]."""
    values = np.nan_to_num(np.asarray(image))
    if image.mode != "F":
        values = np.clip(values, 0, 65535) // 256
    elif unit_range:
        values = values * 255
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _lies_in_unit_range(image: Image.Image) -> bool:
    values = np.asarray(image)
    return bool(np.nanmin(values) >= 0 and np.nanmax(values) <= 1)


def _orientation_in_header(image: Image.Image) -> int:
    """The orientation as far as it is known before the pixels are read: a PNG's own `getexif` reads them."""
    if image.format != "PNG":
        return _orientation(image)
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        return int(exif.get(EXIF_ORIENTATION, 1))
    except Exception:  # see `_orientation`
        return 1


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # broken metadata beside a whole picture: take the picture as it lies
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def _describe(error: Exception) -> str:
    return str(error) or type(error).__name__
