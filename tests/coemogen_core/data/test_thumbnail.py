import base64
import io

import numpy as np
import pytest
from PIL import Image

from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.thumbnail import thumbnail
from tests.coemogen_core.data.pictures import encode, scene


def shown(data: bytes, side: int) -> tuple[str, Image.Image]:
    found = thumbnail(data, side)
    head, _, encoded = found.data_uri.partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert picture.size == (found.width, found.height)
    return head, picture


@pytest.mark.parametrize(("size", "expected"), [((1000, 500), (384, 192)), ((300, 900), (128, 384)), ((4000, 3), (384, 1))])
def test_a_large_picture_becomes_a_jpeg_of_bounded_size(size, expected):
    head, picture = shown(encode(scene(*size), "PNG"), 384)
    assert (head, picture.format, picture.size) == ("data:image/jpeg;base64", "JPEG", expected)


def test_a_small_picture_keeps_its_very_pixels():
    original = scene(96, 40)
    head, picture = shown(encode(original, "PNG"), 384)
    assert (head, picture.format) == ("data:image/png;base64", "PNG")
    assert np.array_equal(np.asarray(picture), np.asarray(original))


def test_a_broken_picture_is_named():
    with pytest.raises(UnreadableImage, match="truncated"):
        thumbnail(encode(scene(300, 300), "JPEG")[:-2000], 384)
