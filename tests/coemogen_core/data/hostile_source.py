"""A folder of files of every kind that goes wrong or is odd, loose, in archives and in tables, each with the reason that it must get."""

import io
import os
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from tests.coemogen_core.data.archives import claim_size, claim_unpacked, parquet, sample, special, tar
from tests.coemogen_core.data.pictures import encode, jpeg, oriented, png_claiming, scene

ACCEPTED = "accepted"
MARKER = "hostile-was-here"


def loose_files(root: Path) -> dict[str, str]:
    """Write them; reason by path."""
    root.mkdir(parents=True)
    outcomes = {}
    for name, (data, outcome) in (_broken() | _odd_but_whole() | _large()).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        outcomes[name] = outcome
    (root / "twin.png").write_bytes((root / "odd-palette.png").read_bytes())
    (root / "passwd.jpg").symlink_to("/etc/passwd")
    (root / "dead.jpg").symlink_to(root / "nowhere.jpg")
    (root / "zero.jpg").symlink_to("/dev/zero")
    (root / "circle.jpg").symlink_to(root / "circle.jpg")
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "pipe.jpg")
    with (root / "zz-sparse.png").open("wb") as file:
        file.truncate(10 * 2**30)
    Path(os.fsdecode(os.fsencode(root) + b"/latin-\xe9.jpg")).write_bytes(jpeg(90))
    (root / "line\nbreak.jpg").write_bytes(jpeg(91))
    outcomes |= {"twin.png": "duplicate", "passwd.jpg": "not an image", "zz-sparse.png": "file too large"}
    outcomes |= dict.fromkeys(["dead.jpg", "zero.jpg", "circle.jpg", "pipe.jpg"], "not a regular file")
    return outcomes | {"latin-\\udce9.jpg": "unusable file name", "line\nbreak.jpg": "unusable file name"}


def archives(root: Path) -> dict[str, str]:
    """The same in tar archives."""
    root.mkdir(parents=True)
    members = [
        *sample("good", jpeg(1), label="awe"),
        ("../../climb.jpg", jpeg(2)),
        (f"/tmp/{MARKER}.jpg", jpeg(3)),
        special("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.jpg", tarfile.LNKTYPE, "../../../etc/passwd"),
        special("device.jpg", tarfile.CHRTYPE),
        special("pipe.jpg", tarfile.FIFOTYPE),
        ("bell\a.jpg", jpeg(4)),
        ("good.jpg", jpeg(5)),
        ("bomb.png", png_claiming(60_000, 60_000)),
        ("empty.jpg", b""),
        ("cut.jpg", jpeg(6)[:-100]),
        ("script.png", f"#!/bin/sh\ntouch {MARKER}".encode()),
        *sample("deep-json", jpeg(7)),
        ("deep-json.json", b"[" * 100_000),
        *sample("failed", jpeg(8), status="failed_to_download"),
    ]
    (root / "a.tar").write_bytes(tar(members))
    huge = special("x", tarfile.XHDTYPE)
    huge.size = 2**33
    (root / "b-header.tar").write_bytes(huge.tobuf() + bytes(4096))
    (root / "c-negative.tar").write_bytes(claim_size(tar([("1.jpg", b"x" * 100), ("2.jpg", b"y" * 100)]), 0, -1024))
    (root / "d-claim.tar").write_bytes(claim_size(tar([("1.jpg", b"x" * 100)]), 0, 2**50))
    (root / "e-text.tar").write_text("no archive")
    (root / "f.tar.gz").write_bytes(b"\x1f\x8b")
    with (root / "g-zeros.tar").open("wb") as file:
        file.truncate(10 * 2**30)
    holes = tarfile.TarInfo("holes.jpg")
    holes.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1"}
    (root / "h-holes.tar").write_bytes(tar([holes], format=tarfile.PAX_FORMAT))
    outcomes = {"good.jpg": ACCEPTED, "bomb.png": "too many pixels", "empty.jpg": "empty file", "cut.jpg": "truncated"}
    outcomes |= {"script.png": "not an image", "deep-json.jpg": "broken annotation", "failed.jpg": "failed_to_download"}
    outcomes |= dict.fromkeys(["link.jpg", "hard.jpg", "device.jpg", "pipe.jpg"], "not a regular file")
    whole = {f"a.tar/{name}": outcome for name, outcome in outcomes.items()}
    whole |= {"b-header.tar": "broken archive", "d-claim.tar/1.jpg": "truncated", "d-claim.tar": "broken archive"}
    whole |= {
        "c-negative.tar": "broken archive",
        "e-text.tar": "broken archive",
        "f.tar.gz": "compressed archive",
        "h-holes.tar/holes.jpg": "sparse member",
    }
    return whole


ODD_MEMBERS = {"climb.jpg": "unsafe path", MARKER: "unsafe path", "bell": "unusable file name", "another member 'good.jpg'": "listed twice"}
"""Members whose names cannot stand in a path: they are named in the detail."""


def tables(root: Path) -> dict[str, str]:
    """The same in Parquet files."""
    root.mkdir(parents=True)
    rows = [jpeg(1), b"", png_claiming(60_000, 60_000), jpeg(2)[:-100], b"MZ" + bytes(100), None]
    table = parquet({"image": rows, "label": ["awe"] * 6}, compression="none", use_dictionary=False)
    (root / "a.parquet").write_bytes(table)
    (root / "b-half.parquet").write_bytes(table[: len(table) // 2])
    (root / "c-footer.parquet").write_bytes(table[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1")
    (root / "d-page.parquet").write_bytes(table[:4] + b"\xff" * 40 + table[44:])
    (root / "e-rows.parquet").write_bytes(parquet({"image": pa.nulls(10**6, pa.binary())}))
    bomb = parquet({"image": [bytes(100 * 2**20)] * 3}, compression="zstd", use_dictionary=False)
    (root / "f-bomb.parquet").write_bytes(bomb)
    (root / "i-lying.parquet").write_bytes(claim_unpacked(bomb, 10**6))
    (root / "g-text.parquet").write_bytes(parquet({"image": ["/etc/passwd", "../../secret.jpg"]}))
    same = jpeg(3) + bytes(2**18)
    (root / "h-same.parquet").write_bytes(parquet({"image": [same] * 900}))
    outcomes = [ACCEPTED, "empty file", "too many pixels", "truncated", "not an image", "missing file"]
    whole = {f"a.parquet#{row}": outcome for row, outcome in enumerate(outcomes)}
    whole |= {"b-half.parquet": "not a Parquet file", "c-footer.parquet": "broken table", "e-rows.parquet#0-999999": "broken table"}
    whole |= {f"d-page.parquet#{row}": "broken table" for row in range(6)}
    whole |= {"g-text.parquet": "no image column", "h-same.parquet#0": ACCEPTED}
    whole |= {f"{name}.parquet#{row}": "page too large" for name in ("f-bomb", "i-lying") for row in range(3)}
    return whole | {f"h-same.parquet#{row}": "duplicate" for row in range(1, 900)}


def _broken() -> dict[str, tuple[bytes, str]]:
    script = f"#!/bin/sh\ntouch /tmp/{MARKER}\n".encode()
    postscript = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/{MARKER}) (w) file closefile\n".encode()
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    gif = encode(scene(seed=30), "GIF")
    png, tiff, webp = (encode(scene(seed=31), kind) for kind in ("PNG", "TIFF", "WEBP"))
    return {
        "empty.jpg": (b"", "empty file"),
        "one-byte.png": (b"\x89", "not an image"),
        "zeros.jpg": (bytes(5000), "not an image"),
        "noise.gif": (np.random.default_rng(0).bytes(5000), "not an image"),
        "letter.jpg": (b"Dear Sir or Madam", "not an image"),
        "page.png": (b"<html><script>alert(1)</script>", "not an image"),
        "vector.png": (svg, "not an image"),
        "script.jpg": (script, "not an image"),
        "postscript.jpg": (postscript, "not an image"),
        "program.gif": (b"\x7fELF" + bytes(200), "not an image"),
        "windows.bmp.jpg": (b"MZ" + bytes(200), "not an image"),
        "archive.jpg": (b"PK\x03\x04" + bytes(200), "not an image"),
        "pickle.png": (b"\x80\x04cposix\nsystem\n(S'touch /tmp/" + MARKER.encode() + b"'\ntR.", "not an image"),
        "xml-bomb.webp": (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', "not an image"),
        "cut.jpg": (jpeg(32)[:-200], "truncated"),
        "cut.png": (png[: len(png) // 2], "truncated"),
        "cut.gif": (gif[: len(gif) // 2], "truncated"),
        "cut.tiff": (tiff[: len(tiff) // 2], "truncated"),
        "cut.webp": (webp[: len(webp) // 2], "corrupt"),
        "header-only.jpg": (jpeg(33)[:12], "corrupt"),
        "broken-check.png": (png[:30] + bytes(2) + png[32:], "corrupt"),
        "bomb.png": (png_claiming(60_000, 60_000), "too many pixels"),
        "wide-bomb.png": (png_claiming(2**31 - 1, 1), "too many pixels"),
        "bomb.bmp": (_bmp_claiming(50_000, 50_000), "too many pixels"),
        "bomb.gif": (b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + gif[10:], "too many pixels"),
        "text-bomb.png": (_png_with_text(80 * 2**20), "corrupt"),
        "endless.tiff": (_tiff_in_a_circle(), "corrupt"),
    }


def _odd_but_whole() -> dict[str, tuple[bytes, str]]:
    frames = [scene(seed=number) for number in range(40, 44)]
    wide = Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20))
    pictures = {
        "odd-cmyk.jpg": encode(scene(seed=11).convert("CMYK"), "JPEG"),
        "odd-deep.png": encode(scene(seed=12).convert("L").convert("I;16"), "PNG"),
        "odd-palette.png": encode(scene(seed=13).convert("P"), "PNG", transparency=3),
        "odd-turned.jpg": oriented("JPEG", 6),
        "odd-moving.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "odd-moving.webp": encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "odd-really-a-png.jpg": encode(scene(seed=16), "PNG"),
        "odd-grey-alpha.png": encode(scene(seed=17).convert("LA"), "PNG"),
        "odd-one-bit.tif": encode(scene(seed=18).convert("1"), "TIFF"),
        "odd-float.tiff": encode(wide, "TIFF"),
        "odd-progressive.jpg": encode(scene(seed=19), "JPEG", progressive=True),
        "odd-one-pixel.bmp": encode(Image.new("RGB", (1, 1)), "BMP"),
        "odd-trailing.jpg": jpeg(20) + b"#!/bin/sh\nexit 1\n" * 100,
        "odd-exif.jpg": encode(scene(seed=21), "JPEG", exif=b"Exif\x00\x00" + b"\xff" * 500),
        "-rf *.jpg": jpeg(22),
        "$(touch x); `id`.png": encode(scene(seed=23), "PNG"),
        "unicode-\u202egpj.exe.jpg": jpeg(25),
    }
    return {name: (data, ACCEPTED) for name, data in pictures.items()}


def _large() -> dict[str, tuple[bytes, str]]:
    """Within the bounds on pixels, some of them not within those on memory."""
    square = Image.new("L", (9_900, 9_900), 128)
    return {
        "large-grey.png": (encode(square, "PNG"), ACCEPTED),
        "large-grey.jpg": (encode(square, "JPEG"), ACCEPTED),
        "large-one-bit.tiff": (encode(square.convert("1"), "TIFF", compression="packbits"), ACCEPTED),
        "large-palette.gif": (encode(square.convert("P"), "GIF"), ACCEPTED),
        "large-progressive-cmyk.jpg": (_progressive_cmyk(), "too many pixels"),
        "large.webp": (_webp_claiming(16_000, 6_000), "too many pixels"),
    }


def _progressive_cmyk() -> bytes:
    """A small one that claims to be large: decoders take the memory before they find out."""
    data = bytearray(encode(scene().convert("CMYK"), "JPEG", progressive=True))
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 9_000, 9_000)
    return bytes(data)


def _webp_claiming(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", 0)[:1] + bytes(3) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    frames = [scene(seed=50), scene(seed=51)]
    data = bytearray(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    start = data.index(b"VP8X") + 8
    data[start + 4 : start + 10] = canvas[4:]
    return bytes(data)


def _bmp_claiming(width: int, height: int) -> bytes:
    data = bytearray(encode(scene(), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def _png_with_text(size: int) -> bytes:
    """A compressed comment that unpacks to any size."""
    png = encode(scene(seed=60), "PNG")
    body = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(size), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def _tiff_in_a_circle() -> bytes:
    """A directory whose next directory is itself, without a picture."""
    buffer = io.BytesIO(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8))
    return buffer.getvalue() + bytes(100)
