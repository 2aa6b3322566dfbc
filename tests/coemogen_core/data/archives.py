"""Archives and tables of pictures, written by other people's code: tarfile, pyarrow, `datasets`."""

import io
import json
import tarfile
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Member = tuple[str, bytes] | tarfile.TarInfo


def tar(members: Iterable[Member], **options: Any) -> bytes:
    """An archive of files, and of whatever else a header can describe."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def sample(key: str, picture: bytes, ending: str = "jpg", **said: Any) -> list[Member]:
    return [(f"{key}.{ending}", picture), (f"{key}.json", json.dumps(said).encode())] if said else [(f"{key}.{ending}", picture)]


def claim_size(archive: bytes, number: int, size: int) -> bytes:
    """The archive with another size in its header number `number` (of members of less than 512 bytes), its checksum mended."""
    offset = number * 1024
    header = bytearray(archive[offset : offset + 512])
    header[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 or size >= 8**11 else f"{size:011o}\0".encode()
    if size >= 8**11:
        header[124] |= 0x80
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return archive[:offset] + bytes(header) + archive[offset + 512 :]


def parquet(table: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), buffer, **options)
    return buffer.getvalue()


def claim_unpacked(table: bytes, size: int) -> bytes:
    """The Parquet file of one column with another uncompressed size in its footer; its pages still tell the truth."""
    true = _thrift_number(pq.read_metadata(pa.BufferReader(table)).row_group(0).column(0).total_uncompressed_size)
    claim = _thrift_number(size)
    padded = bytes(byte | 128 for byte in claim) + b"\x80" * (len(true) - len(claim) - 1) + b"\0" if len(claim) < len(true) else claim
    return table.replace(true, padded)


def _thrift_number(value: int) -> bytes:
    value, digits = value << 1, []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
