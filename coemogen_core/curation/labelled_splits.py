"""Train, validation and test rows for the emotion classifier: the source's own splits where they suffice, carved ones elsewhere."""

import numpy as np
import polars as pl

from coemogen_core.curation.emotion_probe import ProbeRecipe
from coemogen_core.emotions import EMOTIONS


def assign_splits(rows: pl.DataFrame, recipe: ProbeRecipe) -> pl.DataFrame:
    """Give every labelled row one of train, val, test.

    A row without a split counts as train. A val or test split with fewer than `min_held_out_rows` rows counts as absent: its
    rows go to train, and a seeded share of each class is carved out of train instead, at least one row of every class that
    can spare it, never a class's last row. So the published splits of a real corpus are used as they are, and a folder of a
    few hundred photos without any still gets an honest validation and test.

    Args:
        rows: columns `image_id` (unique), `label` (no nulls), `split` (nullable).

    Returns:
        The rows sorted by image id, `split` filled.
    """
    rows = rows.sort("image_id").with_columns(pl.col("split").fill_null("train"))
    absent = [split for split in ("test", "val") if rows.filter(pl.col("split") == split).height < recipe.min_held_out_rows]
    rows = rows.with_columns(pl.col("split").replace(dict.fromkeys(absent, "train")))
    generator = np.random.default_rng(recipe.seed)
    for split in absent:
        rows = _carve(rows, split, recipe.held_out_fraction, generator)
    return rows


def check_classes(rows: pl.DataFrame, recipe: ProbeRecipe) -> None:
    """Refuse splits that no classifier can be trained on.

    Raises:
        ValueError: an emotion has no training row (named; unless the recipe allows it), fewer than two emotions have, or there
            is no row to validate or test on, or one whose emotion was never trained.
    """
    training = check_emotions(rows.filter(pl.col("split") == "train")["label"], recipe)
    for split in ("val", "test"):
        labels = set(rows.filter(pl.col("split") == split)["label"])
        if not labels:
            raise ValueError(f"no labelled image is left for the {split} split: every emotion needs at least three labelled images")
        if labels - training:
            names = ", ".join(sorted(labels - training))
            raise ValueError(f"the {split} split has emotions that the training split lacks: {names}. Mend the source's split files")


def check_emotions(labels: pl.Series, recipe: ProbeRecipe) -> set[str]:
    """The emotions among the labels to train on.

    Raises:
        ValueError: an emotion is absent (named; unless the recipe allows it), or fewer than two are there.
    """
    training = set(labels)
    absent = [emotion for emotion in EMOTIONS if emotion not in training]
    if absent and recipe.require_all_emotions:
        raise ValueError(
            f"the classifier's training split has no image of: {', '.join(absent)}. Add labelled images of them, or set "
            "require_all_emotions=False to train without them (they then never get predicted)"
        )
    if len(training) < 2:
        raise ValueError("the classifier's training split has images of fewer than two emotions: give it a labelled source")
    return training


def _carve(rows: pl.DataFrame, split: str, fraction: float, generator: np.random.Generator) -> pl.DataFrame:
    carved = np.zeros(rows.height, dtype=bool)
    for emotion in EMOTIONS:
        mask = rows.select((pl.col("split") == "train") & (pl.col("label") == emotion)).to_series().to_numpy()
        candidates = np.flatnonzero(mask)
        count = min(len(candidates) - 1, max(1, int(fraction * len(candidates))))
        carved[generator.permutation(candidates)[: max(count, 0)]] = True
    return rows.with_columns(pl.when(pl.Series(carved)).then(pl.lit(split)).otherwise(pl.col("split")).alias("split"))
