"""A picture is its pixels: what stands beside them is left out where it is too much or broken."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from coemogen_core.data.decode import EXIF_ORIENTATION, UnreadableImage, decode_image
from coemogen_core.data.picture_metadata import without_odd_metadata
from coemogen_core.data.thumbnail import data_url
from tests.coemogen_core.data.pictures import encode, scene
from tests.reports import odd_publication

PIXELS = scene(40, 24)
LARGE = 1_600_000
SIGNATURE = 8


def png(**options) -> bytes:
    return encode(PIXELS, "PNG", **options)


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def with_chunk(added: bytes, *, last: bool = False) -> bytes:
    """A PNG with one chunk more, behind its header or before its end."""
    data = png()
    at = len(data) - 12 if last else SIGNATURE + 25
    return data[:at] + added + data[at:]


def noise(size: int) -> bytes:
    return np.random.default_rng(0).integers(32, 127, size, dtype=np.uint8).tobytes()


WORKFLOW = b'{"prompt": "' + b"abc " * (LARGE // 4) + b'"}'
SHORT = {"gAMA": 2, "cHRM": 8, "pHYs": 3, "sRGB": 0, "tIME": 1, "acTL": 1, "fcTL": 1, "tRNS": 1, "sBIT": 0, "bKGD": 0, "eXIf": 0}
METADATA = {
    "zTXt": with_chunk(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(WORKFLOW))),
    "zTXt that does not shrink": with_chunk(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(noise(LARGE)))),
    "iTXt": with_chunk(chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(WORKFLOW))),
    "iTXt as it is": with_chunk(chunk(b"iTXt", b"workflow\0\0\0\0\0" + WORKFLOW)),
    "tEXt": with_chunk(chunk(b"tEXt", b"workflow\0" + WORKFLOW)),
    "texts behind the pixels": with_chunk(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(WORKFLOW)), last=True),
    "a scanner's profile": with_chunk(chunk(b"iCCP", b"scanner\0\0" + zlib.compress(noise(LARGE)))),
    "a broken profile": with_chunk(chunk(b"iCCP", b"scanner\0\0no zlib")),
    "a text with a wrong checksum": with_chunk(chunk(b"tEXt", b"a\0b", 1)),
    "a time with a wrong checksum": with_chunk(chunk(b"tIME", b"\x07\xe8\1\1\1\1\1", 1)),
    "EXIF with a wrong checksum": with_chunk(chunk(b"eXIf", b"II*\0", 1)),
    "EXIF that is none": with_chunk(chunk(b"eXIf", b"no exif")),
    "a text that is no zlib": with_chunk(chunk(b"zTXt", b"a\0\0no zlib")),
    "a keyword that looks like a packed text": with_chunk(chunk(b"iTXt", b"workflow\0\1\0en\0Flux workflow\0" + zlib.compress(WORKFLOW))),
    "a text that is packed and says it is not": with_chunk(chunk(b"tEXt", b"a\0" + zlib.compress(bytes(80 * 2**20), 9))),
    "a text that is packed in an unknown way": with_chunk(chunk(b"zTXt", b"a\0\5abc")),
    "the same behind the pixels": with_chunk(chunk(b"zTXt", b"a\0\5abc"), last=True),
    "a profile that is packed in an unknown way": with_chunk(chunk(b"iCCP", b"a\0\5abc")),
    "nothing in a text": with_chunk(chunk(b"zTXt", b"") + chunk(b"iTXt", b"") + chunk(b"tEXt", b"")),
    **{f"half of {kind}": with_chunk(chunk(kind.encode(), b"\0" * size)) for kind, size in SHORT.items()},
    **{f"half of {kind} behind the pixels": with_chunk(chunk(kind.encode(), b"\0" * size), last=True) for kind, size in SHORT.items()},
    "a JPEG's profile": encode(PIXELS, "PNG", icc_profile=noise(LARGE)),
}


@pytest.mark.parametrize("what", METADATA)
def test_a_png_is_its_pixels(what):
    assert np.array_equal(np.asarray(decode_image(METADATA[what])), np.asarray(PIXELS))


JPEGS = {
    "a profile": {"icc_profile": noise(LARGE)},
    "a comment": {"comment": b"x" * 60_000},
    "EXIF that is none": {"exif": b"Exif\0\0no exif"},
}


@pytest.mark.parametrize("what", JPEGS)
def test_a_jpeg_is_its_pixels(what):
    plain = decode_image(encode(PIXELS, "JPEG", quality=95))
    assert np.array_equal(np.asarray(decode_image(encode(PIXELS, "JPEG", quality=95, **JPEGS[what]))), np.asarray(plain))


SEGMENTS = {
    "half of Adobe's": (0xEE, b"Adobe"),
    "most of Adobe's": (0xEE, b"Adobe\0d\0\0\0\0"),
    "half of JFIF's": (0xE0, b"JFIF\0"),
    "half of a profile": (0xE2, b"ICC_PROFILE\0"),
    "half of EXIF": (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "half of Photoshop's": (0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\xff\xff\xff\xff"),
    "no comment": (0xFE, b""),
    "half of FlashPix's": (0xE2, b"FPXR\0"),
}


@pytest.mark.parametrize("what", SEGMENTS)
def test_a_jpeg_with_half_a_segment_is_its_pixels(what):
    plain = encode(PIXELS, "JPEG", quality=95)
    marker, content = SEGMENTS[what]
    odd = plain[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + plain[2:]
    assert np.array_equal(np.asarray(decode_image(odd)), np.asarray(decode_image(plain)))


def test_what_adobe_says_of_the_colours_is_kept():
    """It decides how three or four components are read."""
    cmyk = encode(PIXELS.convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in cmyk
    assert without_odd_metadata(cmyk) is cmyk


def test_a_jpeg_whose_list_of_more_pictures_is_broken():
    plain = encode(PIXELS, "JPEG", quality=95)
    app2 = b"MPF\0MM\0*\0\0\0\x08\0\1" + b"\xb0\1\0\4\0\0\0\2\0\0\0\5"
    broken = plain[:2] + b"\xff\xe2" + struct.pack(">H", len(app2) + 2) + app2 + plain[2:]
    assert np.array_equal(np.asarray(decode_image(broken)), np.asarray(decode_image(plain)))


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP", "many"])
def test_eighty_megabytes_stay_refused(kind):
    packed = zlib.compress(bytes(80 * 2**20), 9)
    chunks = {
        "zTXt": chunk(b"zTXt", b"a\0\0" + packed),
        "iTXt": chunk(b"iTXt", b"a\0\1\0\0\0" + packed),
        "iCCP": chunk(b"iCCP", b"a\0\0" + packed),
        "many": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20), 9)) * 80,
    }
    with pytest.raises(UnreadableImage, match="unpack to more than 64 MiB") as refused:
        decode_image(with_chunk(chunks[kind]))
    assert refused.value.reason == "corrupt"


@pytest.mark.parametrize("last", [False, True])
def test_the_orientation_is_kept_wherever_it_stands(last):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    turned = with_chunk(chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")), last=last)
    assert decode_image(turned).size == (24, 40)


@pytest.mark.parametrize("padding", [10, 600_000])
def test_the_orientation_is_kept_in_however_long_a_text(padding):
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/>' + b" " * padding + b"</x:xmpmeta>"
    turned = with_chunk(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    assert decode_image(turned).size == (24, 40)


def test_a_captioner_is_sent_no_bomb():
    with pytest.raises(UnreadableImage, match="unpack to more than 64 MiB"):
        data_url(with_chunk(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80 * 2**20), 9))), 10**6)
    sent = data_url(METADATA["zTXt"], 10**6)
    assert sent.startswith("data:image/png;base64,")
    assert len(sent) < 20_000


def test_nothing_is_decoded_before_the_size_is_checked(monkeypatch):
    def decoded(self):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decoded)
    with pytest.raises(UnreadableImage, match="too many pixels"):
        decode_image(png(), max_pixels=100)
    header = struct.pack(">IIBBBBB", 9_900, 9_900, 16, 6, 0, 0, 0)
    claim = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage, match="too many pixels"):
        decode_image(claim)


def test_the_text_of_a_picture_is_not_lost_for_who_reads_it():
    """Only the decoder's copy is without it: what is stored are the source's own bytes."""
    data = METADATA["zTXt"]
    before = bytes(data)
    decode_image(data)
    assert data == before
    assert Image.open(io.BytesIO(png())).size == (40, 24)


def test_what_is_published_opens_in_any_pillow(tmp_path, monkeypatch):
    """Tables keep a source's bytes; others who open a published picture have no decoder of ours."""

    def of_comfyui(mode, kind, number, exif=None):
        pixels = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        texts, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
        texts.add_text("parameters", "a dog")
        texts.add_text("workflow", "x" * 2_000_000, zip=True)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        Image.fromarray(pixels).save(buffer, "PNG", pnginfo=texts, icc_profile=profile + bytes(2**21 * (number % 2)))
        return buffer.getvalue()

    monkeypatch.setattr(odd_publication, "picture", of_comfyui)
    written = odd_publication.write_odd_publication(tmp_path)  # exports it too
    rows = pl.read_parquet(Path(written["published"]["folder"]) / "train")
    assert rows.height > 10
    for data in rows["image"].struct.field("bytes"):
        with Image.open(io.BytesIO(data)) as opened:
            opened.load()
            assert opened.text == {"parameters": "a dog"}
            assert len(opened.info.get("icc_profile", b"")) < 2**20
    assert any(b"iCCP" in data for data in rows["image"].struct.field("bytes"))  # a small profile stays
