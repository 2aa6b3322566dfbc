import base64
import io

import numpy as np
import pytest
from PIL import Image

from coemogen_core.data.decode import UnreadableImage, decode_image
from coemogen_core.data.thumbnail import bounded_picture, data_url
from tests.coemogen_core.captioning.corpus import jpeg


def from_url(url: str) -> tuple[str, bytes]:
    head, body = url.split(",", 1)
    return head, base64.b64decode(body)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_a_small_jpeg_is_sent_as_it_is():
    data = jpeg(0)
    assert from_url(data_url(data, 64 * 64)) == ("data:image/jpeg;base64", data)


def test_a_large_picture_is_reduced_and_keeps_its_shape():
    small = bounded_picture(jpeg(0, (400, 200)), 20_000)
    assert small.size == (200, 100)
    head, body = from_url(data_url(jpeg(0, (400, 200)), 20_000))
    assert head == "data:image/jpeg;base64"
    assert decode_image(body).size == (200, 100)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (77, 133)])
def test_extreme_shapes_stay_within_the_bound(size):
    reduced = bounded_picture(encoded(Image.new("RGB", size), "PNG"), 1000)
    assert min(reduced.size) >= 1
    assert reduced.width * reduced.height <= max(1000, max(size) if min(size) == 1 else 0)


def test_what_servers_might_read_differently_is_made_anew():
    turned = Image.new("RGB", (20, 10), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    for data, size in [
        (encoded(turned, "JPEG", exif=exif), (10, 20)),
        (encoded(Image.new("RGBA", (20, 10), (255, 0, 0, 0)), "PNG"), (20, 10)),
        (encoded(Image.new("RGB", (20, 10)), "BMP"), (20, 10)),
    ]:
        head, body = from_url(data_url(data, 10_000))
        assert head == "data:image/jpeg;base64"
        assert decode_image(body).size == size


def test_transparency_is_white_for_every_captioner():
    data = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), "PNG")
    sent = decode_image(from_url(data_url(data, 10_000))[1])
    assert np.asarray(sent).min() >= 254
    assert np.asarray(bounded_picture(data, 10_000)).min() == 255


@pytest.mark.parametrize("data", [b"", b"no picture", jpeg(0)[:40]])
def test_bytes_that_are_no_picture_say_so(data):
    for read in (bounded_picture, data_url):
        with pytest.raises(UnreadableImage):
            read(data, 10_000)
