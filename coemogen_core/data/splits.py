"""Which pictures are trained on and which are held out, where their source does not say: by a rule that a picture never outgrows."""

import hashlib

import polars as pl

RULE_VERSION = 1
"""Part of the id of whatever is made of some splits: raise it when the rule puts a picture elsewhere."""
TEST_SHARE = 0.1


def with_splits(images: pl.DataFrame) -> pl.DataFrame:
    """Fill in `split` where it is null: "test" for a tenth of the pictures, "train" for the others.

    The hash of the artist decides, so that none is on both sides, and of the picture where its artist is not known. Nothing else counts: a
    picture stays where it is when the source grows, and in whatever source it stands.

    Args:
        images: columns `image_id`, `split`, `artist`, the last two nullable.

    Returns:
        The same rows and columns, in the same order.
    """
    rows = images.select("split", pl.coalesce("artist", "image_id")).iter_rows()
    splits = [split if split is not None else _by_rule(key) for split, key in rows]
    return images.with_columns(split=pl.Series(splits, dtype=pl.String))


def _by_rule(key: str) -> str:
    number = int.from_bytes(hashlib.sha256(f"split/{key}".encode()).digest()[:8], "big")
    return "test" if number < TEST_SHARE * 2**64 else "train"
