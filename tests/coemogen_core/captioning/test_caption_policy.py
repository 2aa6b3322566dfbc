from datetime import UTC, datetime

import polars as pl
import pytest
from pydantic import ValidationError

from coemogen_core.captioning.current_captions import CaptionPolicy

ROWS = [  # image, recipe, attempt, day, similarity, fits
    ("x", "old", 1, 1, 0.30, True),
    ("x", "old", 2, 2, 0.25, True),
    ("x", "new", 1, 9, 0.20, True),
    ("x", "new", 2, 10, 0.90, False),
    ("y", "old", 1, 1, None, True),
    ("y", "new", 1, 2, 0.10, True),
    ("z", "new", 1, 3, 0.50, False),
]


def frame() -> pl.DataFrame:
    rows = [(image, recipe, attempt, datetime(2026, 1, day, tzinfo=UTC), *rest) for image, recipe, attempt, day, *rest in ROWS]
    return pl.DataFrame(rows, schema=["image_id", "recipe_id", "attempt", "asked_at", "similarity", "fits"], orient="row").sample(
        fraction=1.0, shuffle=True, seed=1
    )


def chosen(policy: CaptionPolicy) -> list[tuple]:
    admitted = frame().filter(pl.col("recipe_id").map_elements(policy.admits, return_dtype=pl.Boolean))
    return policy.select(admitted).select("image_id", "recipe_id", "attempt").rows()


def test_a_pinned_recipe_gives_its_latest_fitting_caption():
    assert chosen(CaptionPolicy.pinned("old")) == [("x", "old", 2), ("y", "old", 1)]
    assert chosen(CaptionPolicy.pinned("new")) == [("x", "new", 1), ("y", "new", 1), ("z", "new", 1)]


def test_latest_goes_by_the_time_of_asking():
    assert chosen(CaptionPolicy(choose="latest")) == [("x", "new", 1), ("y", "new", 1), ("z", "new", 1)]


def test_best_alignment_takes_the_most_similar_and_no_score_loses():
    assert chosen(CaptionPolicy(choose="best_alignment")) == [("x", "old", 1), ("y", "new", 1), ("z", "new", 1)]
    assert chosen(CaptionPolicy(choose="best_alignment", recipe_ids=("old",))) == [("x", "old", 1), ("y", "old", 1)]


def test_a_pinned_policy_names_one_recipe():
    for recipes in ((), ("a", "b")):
        with pytest.raises(ValidationError, match="names exactly one recipe"):
            CaptionPolicy(choose="pinned", recipe_ids=recipes)
    assert CaptionPolicy.pinned("a").describe() == "of recipe `a`"
