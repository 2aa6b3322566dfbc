"""A hash of rows that does not depend on their order, and so not on the parts that they lie in."""

import hashlib
import json

import polars as pl

MODULUS = 1 << 256


class RowDigest:
    """Takes rows a lot at a time; the same rows in whatever order and lots give the same hash (the sum of SHA-256 modulo 2^256).

    Some 3 µs a row.
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows; values are what JSON can say."""
        for row in rows.iter_rows():
            digest = hashlib.sha256(json.dumps(row, separators=(",", ":")).encode()).digest()
            self._sum = (self._sum + int.from_bytes(digest, "big")) % MODULUS

    def merge(self, hexdigest: str) -> None:
        """Take rows whose own hash is known."""
        self._sum = (self._sum + int(hexdigest, 16)) % MODULUS

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return f"{self._sum:064x}"


def rows_digest(rows: pl.DataFrame) -> str:
    """The hash of these rows."""
    digest = RowDigest()
    digest.add(rows)
    return digest.hexdigest()
