"""The alignment filter: within each emotion, the captions that CLIP finds least like their picture are dropped.

Paper, section on the training corpus: "the lowest 20 %" of each emotion. Exact, so that any other fraction is one query away.
"""

from fractions import Fraction

import polars as pl

KEPT = "kept"
LOW_ALIGNMENT = "low alignment"


def drop_lowest_aligned(frame: pl.DataFrame, fraction: float) -> pl.DataFrame:
    """Judge each row by the rank of its similarity within its label.

    Of the n rows of a label exactly floor(fraction * n) are dropped, those of lowest similarity; among equals the lower
    image id goes first. Linear in memory and free of row-wise sorting: only the similarities of one label are ordered,
    and only rows that lie exactly on the cut are compared by id.

    Args:
        frame: columns `image_id` (unique), `label`, `similarity` (no nulls, no NaN); others pass through.
        fraction: share to drop, 0 <= fraction < 1, taken as the decimal that it prints as (0.29 of 100 is 29).

    Returns:
        The rows in their order, with `kept` (bool) and `reason` ("kept" or "low alignment") added.

    Raises:
        ValueError: fraction out of range, or a label or similarity is missing.
    """
    if not 0.0 <= fraction < 1.0:
        raise ValueError(f"the fraction to drop must lie in [0, 1), not {fraction}")
    if frame.select(pl.col("label").is_null().any() | pl.col("similarity").is_null().any()).item():
        raise ValueError("the alignment filter needs a label and a similarity in every row: filter rows without them before")
    if frame.select(pl.col("similarity").is_nan().any()).item():
        raise ValueError("the alignment filter met a NaN similarity: recompute the alignment table")
    cuts = _cuts(frame, Fraction(str(float(fraction))))  # the decimal as written: floor(0.29 * 100) is 29 and not 28
    cut = frame["label"].replace_strict(cuts["label"], cuts["cut"]).cast(frame["similarity"].dtype)
    kept = ~((frame["similarity"] < cut).fill_null(False) | _first_on_the_cut(frame, cut, cuts))
    reason = pl.when(pl.col("kept")).then(pl.lit(KEPT)).otherwise(pl.lit(LOW_ALIGNMENT)).alias("reason")
    return frame.with_columns(kept.alias("kept")).with_columns(reason)


def _cuts(frame: pl.DataFrame, share: Fraction) -> pl.DataFrame:
    """Per label: how many to drop, the similarity of the last dropped one (`cut`, null = none), and how many lie below it."""
    rows = []
    for (label,), group in frame.select("label", "similarity").group_by("label"):
        quota = group.height * share.numerator // share.denominator
        cut = group["similarity"].sort()[quota - 1] if quota else None
        below = int((group["similarity"] < cut).sum()) if quota else 0
        rows.append((label, quota, cut, below))
    frame_of_cuts = pl.DataFrame(rows, schema=["label", "quota", "cut", "below"], orient="row")
    return frame_of_cuts.cast({"label": pl.String, "quota": pl.Int64, "cut": frame["similarity"].dtype, "below": pl.Int64})


def _first_on_the_cut(frame: pl.DataFrame, cut: pl.Series, cuts: pl.DataFrame) -> pl.Series:
    """Rows on the cut that still fall under their label's quota, lowest image id first."""
    ties = (
        frame.lazy()
        .select("image_id", "label", index=pl.int_range(pl.len()))
        .filter((frame["similarity"] == cut).fill_null(False))
        .join(cuts.lazy(), on="label")
        .with_columns(rank=pl.col("image_id").rank("ordinal").over("label"))
        .filter(pl.col("rank") <= pl.col("quota") - pl.col("below"))
        .collect()
    )
    return pl.int_range(frame.height, eager=True).is_in(ties["index"].implode())
