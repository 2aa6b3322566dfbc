"""What the pages of a Parquet column really unpack to: their headers tell, which bind the decoder; the footer may claim anything.

A header is a Thrift struct in the compact protocol (parquet-format, `PageHeader`): field 1 is the type of the page, 2 and 3 are its bytes
uncompressed and compressed.
"""

from dataclasses import dataclass
from typing import BinaryIO

MAX_HEADER_BYTES = 2**20
MAX_PAGES = 100_000  # of one column of one row group
MAX_RATIO = 4
_USUAL_HEADER_BYTES = 1024
_MAX_DEPTH = 8
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_DICTIONARY = 2


@dataclass(frozen=True, slots=True)
class PageSizes:
    """Bytes of the pages of a column chunk when they are unpacked."""

    total: int
    largest: int
    dictionary: int  # of the dictionary page, 0 without one
    inflated: int  # of the largest page that shrinks by more than `MAX_RATIO`, as no page of pictures does


def page_sizes(file: BinaryIO, start: int, end: int) -> PageSizes:
    """Sizes of the pages from `start` to before `end`, a column chunk. Raises ValueError for no pages."""
    total = largest = dictionary = inflated = 0
    position = start
    for _ in range(MAX_PAGES):
        if position >= end:
            return PageSizes(total, largest, dictionary, inflated)
        fields, length = _page_header(file, position, end)
        unpacked, packed = fields.get(2, -1), fields.get(3, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError(f"the page at byte {position} claims a negative size")
        total, largest = total + unpacked, max(largest, unpacked)
        dictionary += unpacked if fields.get(1) == _DICTIONARY else 0
        inflated = max(inflated, unpacked if unpacked > MAX_RATIO * packed else 0)
        position += length + packed
    raise ValueError(f"more than {MAX_PAGES:,} pages in a column")


def _page_header(file: BinaryIO, position: int, end: int) -> tuple[dict[int, int], int]:
    for size in (_USUAL_HEADER_BYTES, MAX_HEADER_BYTES):
        file.seek(position)
        header = _Compact(file.read(min(size, end - position)))
        try:
            return header.struct(), header.position
        except IndexError:
            continue
    raise ValueError(f"no page header at byte {position}")


class _Compact:
    """Reads a Thrift struct: keeps its integers, skips the rest. Raises IndexError where the bytes end before."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        if depth > _MAX_DEPTH:
            raise ValueError("a page header is nested too deeply")
        integers: dict[int, int] = {}
        field = 0
        while (head := self._byte()) & 15 != _STOP:
            field = field + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            if kind in _INTEGERS:
                integers[field] = self._integer()
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth)
        return integers

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE, _BYTE):
            self._advance(1)
        elif kind in _INTEGERS:
            self._integer()
        elif kind == _DOUBLE:
            self._advance(8)
        elif kind == _BINARY:
            self._advance(self._varint())
        elif kind in (_LIST, _SET):
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._skip(head & 15, depth + 1)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        else:
            raise ValueError(f"a page header has a field of unknown type {kind}")

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _advance(self, size: int) -> None:
        self.position += size
        if self.position > len(self._data):
            raise IndexError("the bytes end within a page header")

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number of a page header has no end")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
