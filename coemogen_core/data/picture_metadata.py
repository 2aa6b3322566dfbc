"""PNG and JPEG without the metadata that Pillow would refuse the whole picture for: large, too short, or with a wrong checksum.

ComfyUI and other generators write their whole workflow into a text chunk, scanners a profile of megabytes, editors cut segments short.
Pillow reads each while it opens the file, and calls the file broken; none of them changes a pixel here.
"""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT_BYTES = 2**19
"""Texts up to this size stay: a small one may hold the orientation."""
MAX_UNPACKED_BYTES = 64 * 2**20
_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT", b"sBIT")
_SHORTEST = {b"gAMA": 4, b"cHRM": 32, b"pHYs": 9, b"sRGB": 1, b"acTL": 8, b"fcTL": 26}
"""Bytes of content without which a chunk says nothing, and Pillow gives up the file."""
_SHORTEST_TRANSPARENCY = {0: 2, 2: 6, 3: 0}  # by colour type
_SHORTEST_SEGMENT = ((0xE0, b"JFIF", 14), (0xE2, b"ICC_PROFILE\0", 14), (0xEE, b"Adobe", 12))
"""The same of a JPEG's segments: marker, how it begins, bytes of content."""
_XMP = b"XML:com.adobe.xmp\0\0"  # not packed; it may hold the orientation, however long it is
_PROFILE, _TEXTS = b"iCCP", (b"tEXt", b"zTXt", b"iTXt")


class MetadataBombError(ValueError):
    """Metadata that unpacks to more than any picture needs."""


def without_odd_metadata(data: bytes, *, profiles: bool = False) -> bytes:
    """The file itself where nothing has to go, else one without it; another kind of file, or a broken one, comes back as it is.

    Args:
        profiles: keep colour profiles that others can read, for files that others open. Our own decoder uses none.

    Raises:
        MetadataBombError: texts and profiles unpack to more than 64 MiB.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg_without_short_segments(data)
    return _png(data, profiles) if data.startswith(SIGNATURE) else data


def _png(data: bytes, profiles: bool) -> bytes:
    kept, unpacked, end = [SIGNATURE], 0, len(SIGNATURE)
    whole = True
    for kind, start, end in _chunks(data):
        if kind in _TEXTS or kind == _PROFILE:
            content = data[start + 8 : end - 4]
            size = _unpacked(kind, content, MAX_UNPACKED_BYTES - unpacked)
            unpacked += size
            wanted = (
                (size <= KEPT_BYTES or content.startswith(_XMP)) and (profiles or kind != _PROFILE) and _is_known_packing(kind, content)
            )
        else:
            wanted = end - start - 12 >= (_SHORTEST_TRANSPARENCY.get(data[25], 0) if kind == b"tRNS" else _SHORTEST.get(kind, 0))
        ancillary = bool(kind[0] & 32) and kind not in _PIXELS
        if wanted and not (ancillary and not _is_intact(data, start, end)):
            kept.append(data[start:end])
        else:
            whole = False
    return data if whole else b"".join([*kept, data[end:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of every whole chunk up to the last."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind, end = data[start + 4 : start + 8], start + 12 + length
        if end > len(data) or not kind.isalpha():
            return
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end


def _is_known_packing(kind: bytes, content: bytes) -> bool:
    """Whether a packed text or a profile says that it is packed by zlib, the only way there is; plain texts always."""
    _, nul, rest = content.partition(b"\0")
    if kind == b"iTXt":  # a flag, then the way
        return not (nul and rest[:1] == b"\1" and rest[1:2] != b"\0")
    return kind == b"tEXt" or bool(nul and rest[:1] == b"\0")


def _jpeg_without_short_segments(data: bytes) -> bytes:
    """Segments before the pixels that are shorter than what they have to say are left out."""
    kept, start, whole = [data[:2]], 2, True
    while start + 4 <= len(data) and data[start] == 0xFF and 0xC0 <= data[start + 1] <= 0xFE and data[start + 1] != 0xDA:
        marker, end = data[start + 1], start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        content = data[start + 4 : min(end, start + 4 + 16)]
        if any(marker == odd and content.startswith(begin) and end - start - 4 < least for odd, begin, least in _SHORTEST_SEGMENT):
            whole = False
        else:
            kept.append(data[start:end])
        start = max(end, start + 4)
    return data if whole else b"".join([*kept, data[start:]])


def _is_intact(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(data)[start + 4 : end - 4]) == struct.unpack_from(">I", data, end - 4)[0]


def _unpacked(kind: bytes, content: bytes, room: int) -> int:
    """Bytes that a text or a profile takes, packed or unpacked, whichever is more; no more than a block of it is ever in memory."""
    packed = _packed(kind, content)
    size = max(len(content), _inflated(packed, room) if packed else 0)
    if size > room:
        raise MetadataBombError(f"its texts and profiles unpack to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
    return size


def _packed(kind: bytes, content: bytes) -> bytes:
    """What a decoder would unpack: behind the keyword and how it is packed, and in iTXt behind the language and the translated keyword."""
    rest = content.partition(b"\0")[2]
    if kind == b"iTXt":
        return rest[2:].partition(b"\0")[2].partition(b"\0")[2] if rest[:1] != b"\0" else b""
    return b"" if kind == b"tEXt" else rest[1:]


def _inflated(packed: bytes, room: int) -> int:
    unpacker, total = zlib.decompressobj(), 0
    try:
        while packed and total <= room:
            total += len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        pass
    return total
