"""Splits of pictures whose source gives none."""

import hashlib

import polars as pl

from coemogen_core.data.splits import TEST_SHARE, with_splits


def images(count: int, artists: int | None = None, split: str | None = None) -> pl.DataFrame:
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    names = [None if artists is None else f"artist {number % artists}" for number in range(count)]
    return pl.DataFrame(
        {"image_id": ids, "split": [split] * count, "artist": names},
        schema={"image_id": pl.String, "split": pl.String, "artist": pl.String},
    )


def test_what_the_source_says_stays() -> None:
    rows = pl.concat([images(3, split="val"), images(2, 1, split="test")])
    assert with_splits(rows).equals(rows)
    assert with_splits(rows.clear()).equals(rows.clear())


def test_a_tenth_is_held_out_and_a_picture_never_moves() -> None:
    few, many = with_splits(images(500)), with_splits(images(5_000))
    assert many.head(500).equals(few)
    assert with_splits(images(5_000).reverse()).reverse().equals(many)
    assert abs((many["split"] == "test").mean() - TEST_SHARE) < 0.02
    assert set(many["split"]) == {"train", "test"}


def test_no_artist_is_on_both_sides() -> None:
    sides = with_splits(images(3_000, artists=129)).group_by("artist").agg(pl.col("split").unique())
    assert sides["split"].list.len().unique().to_list() == [1]
    assert {"train", "test"} == set(sides["split"].list.first())
