import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from coemogen_core.data.decode import UnreadableImage, decode_image
from tests.coemogen_core.data.pictures import encode, jpeg, oriented, png_claiming, scene

WHOLE = [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {}), ("BMP", {}), ("TIFF", {})]


def reason_of(data: bytes, **options) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decode_image(data, **options)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize(("kind", "options"), WHOLE)
def test_allowed_formats_give_loaded_rgb(kind, options):
    image = decode_image(encode(scene(), kind, **options))
    assert (image.mode, image.size) == ("RGB", (40, 24))
    assert np.asarray(image)[1, 1, 0] > 200
    assert image.info == {}


def test_lossless_pictures_come_out_exactly():
    assert np.array_equal(np.asarray(decode_image(encode(scene(), "PNG"))), np.asarray(scene()))


def test_cmyk():
    image = decode_image(encode(scene().convert("CMYK"), "JPEG", quality=95))
    assert np.abs(np.asarray(image).astype(int) - np.asarray(scene())).mean() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_scale(kind):
    ramp = np.linspace(0, 65535, 40 * 24).astype(np.uint16).reshape(24, 40)
    image = decode_image(encode(Image.fromarray(ramp), kind))
    assert np.abs(np.asarray(image)[..., 0].astype(int) - ramp // 256).max() <= 1


def test_float_tiff():
    ramp = np.linspace(0, 1, 40 * 24, dtype=np.float32).reshape(24, 40)
    values = np.asarray(decode_image(encode(Image.fromarray(ramp), "TIFF")))
    assert values.min() == 0
    assert values.max() == 255


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette(mode):
    assert decode_image(encode(scene().convert(mode), "PNG")).mode == "RGB"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(mode):
    image = scene().convert(mode)
    image.putalpha(0)
    assert np.all(np.asarray(decode_image(encode(image, "PNG"))) == 255)


def test_palette_with_transparency_is_laid_on_white():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (4, 0, 8, 8))
    values = np.asarray(decode_image(encode(image, "PNG", transparency=0)))
    assert values[0, 0].tolist() == [255, 255, 255]
    assert values[0, 7].tolist() == [200, 100, 50]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(kind, orientation):
    data = oriented(kind, orientation)
    image = decode_image(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))  # Pillow's own as oracle
    assert image.size == expected.size == ((24, 40) if orientation >= 5 else (40, 24))
    assert np.array_equal(np.asarray(image), np.asarray(expected.convert("RGB")))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(image)), np.asarray(image))


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode_image(data).getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize(
    "data", [b"a letter to the editor", b"<svg xmlns='x'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", bytes(64)]
)
def test_other_files_are_no_images(data):
    assert reason_of(data) == "not an image"


def test_formats_outside_the_list_are_not_opened():
    assert reason_of(encode(scene(), "PPM")) == "not an image"
    assert reason_of(encode(scene(), "TGA")) == "not an image"


def test_empty():
    assert reason_of(b"") == "empty file"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cut_pictures(kind, share):
    data = encode(scene(400, 300), kind)
    assert reason_of(data[: int(len(data) * share)]) in ("truncated", "corrupt", "not an image")


def test_cut_jpeg_is_called_truncated():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    data = jpeg()
    assert reason_of(data[: len(data) * 3 // 4]) == "truncated"
    assert reason_of(data[:8]) == "corrupt"


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_000, 10_000), (65_535, 65_535)])
def test_bombs_are_refused_by_their_header(size):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert reason_of(png_claiming(*size)) == "too many pixels"


def test_limit_is_the_callers():
    data = encode(scene(), "PNG")
    assert decode_image(data, max_pixels=40 * 24).size == (40, 24)
    assert reason_of(data, max_pixels=40 * 24 - 1) == "too many pixels"


def test_text_chunks_that_explode_are_refused():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for number in range(3):
        info.add_text(f"note{number}", "x" * (40 * 2**20), zip=True)
    assert reason_of(encode(scene(), "PNG", pnginfo=info)) == "corrupt"


@settings(max_examples=150)
@given(st.sampled_from([encode(scene(), kind) for kind, _ in WHOLE]), st.data())
def test_damaged_bytes_give_a_picture_or_a_reason(data, draw):
    damaged = bytearray(data)
    for position in draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=6)):
        damaged[position] ^= draw.draw(st.integers(1, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(UnreadableImage):  # any other exception fails the test
            assert decode_image(bytes(damaged), max_pixels=4_000_000).mode == "RGB"
