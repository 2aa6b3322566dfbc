"""PNG without the metadata that Pillow would refuse the whole picture for: large texts, colour profiles, chunks with a wrong checksum.

ComfyUI and other generators write their whole workflow into a text chunk, scanners a profile of megabytes. Pillow unpacks each while it
opens the file, and above 1 MiB it calls the file broken; none of them changes a pixel here.
"""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEPT_BYTES = 2**19
"""Texts up to this size stay: a small one may hold the orientation."""
MAX_UNPACKED_BYTES = 64 * 2**20
_PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT", b"sBIT")
_PROFILE, _TEXTS = b"iCCP", (b"tEXt", b"zTXt", b"iTXt")


class MetadataBombError(ValueError):
    """Metadata that unpacks to more than any picture needs."""


def without_large_metadata(data: bytes, *, profiles: bool = False) -> bytes:
    """The file itself where nothing has to go, else one without it; what is no PNG, or a broken one, comes back as it is.

    Args:
        profiles: keep colour profiles that others can read, for files that others open. Our own decoder uses none.

    Raises:
        MetadataBombError: texts and profiles unpack to more than 64 MiB.
    """
    if not data.startswith(SIGNATURE):
        return data
    kept, unpacked, end = [SIGNATURE], 0, len(SIGNATURE)
    whole = True
    for kind, start, end in _chunks(data):
        if kind in _TEXTS or kind == _PROFILE:
            size = _unpacked(data[start + 8 : end - 4], MAX_UNPACKED_BYTES - unpacked)
            unpacked += size
            wanted = size <= KEPT_BYTES and (profiles or kind != _PROFILE)
        else:
            wanted = True
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


def _is_intact(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(data)[start + 4 : end - 4]) == struct.unpack_from(">I", data, end - 4)[0]


def _unpacked(content: bytes, room: int) -> int:
    """Bytes that a text or a profile takes, packed or unpacked, whichever is more; no more than a block of it is ever in memory.

    The packed part begins at a zlib header somewhere behind the first zero byte, which ends the keyword.
    """
    begin = content.find(b"\0") + 1
    size = len(content)
    for at in range(begin, min(begin + 200, len(content) - 1)):
        if content[at] & 15 == 8 and int.from_bytes(content[at : at + 2], "big") % 31 == 0:
            size = max(size, _inflated(content[at:], room))
            break
    if size > room:
        raise MetadataBombError(f"its texts and profiles unpack to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
    return size


def _inflated(packed: bytes, room: int) -> int:
    unpacker, total = zlib.decompressobj(), 0
    try:
        while packed and total <= room:
            total += len(unpacker.decompress(packed, 2**20))
            packed = unpacker.unconsumed_tail
    except zlib.error:
        pass
    return total
