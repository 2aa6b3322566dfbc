"""Small pictures in many formats, whole and broken, made as bytes."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def scene(width: int = 40, height: int = 24, seed: int = 0) -> Image.Image:
    """A smooth RGB picture, another one for every seed; its top left corner is red."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    image.paste((255, 0, 0), (0, 0, width // 4, height // 4))
    return image


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0, **options: Any) -> bytes:
    return encode(scene(seed=seed), "JPEG", quality=95, **options)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(scene(), kind, exif=exif)
