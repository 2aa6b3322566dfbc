"""Acceptance rates against the Wilson formula written by hand."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.audit.acceptance import COLUMNS, Acceptance, acceptance_rates, acceptance_rows

Z = 1.959963984540054


@given(st.integers(1, 500).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    accepted, judged = counts
    found = Acceptance.of(accepted, judged)
    share = accepted / judged
    centre = (share + Z**2 / (2 * judged)) / (1 + Z**2 / judged)
    half = Z / (1 + Z**2 / judged) * math.sqrt(share * (1 - share) / judged + Z**2 / (4 * judged**2))
    assert found.rate == share
    assert found.low == pytest.approx(centre - half, abs=1e-9)
    assert found.high == pytest.approx(centre + half, abs=1e-9)


def reviews(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["emotion", "recipe_id", "verdict"], orient="row")


def test_rates_by_emotion_and_recipe() -> None:
    rates = acceptance_rates(
        reviews(("fear", "b", "accept"), ("awe", "b", "reject"), ("awe", "a", "accept"), ("awe", "a", "accept"), ("awe", "a", "accept"))
    )
    assert rates.overall is not None
    assert (rates.overall.accepted, rates.overall.judged) == (4, 5)
    assert {name: (found.accepted, found.judged) for name, found in rates.per_emotion.items()} == {"awe": (3, 4), "fear": (1, 1)}
    assert list(rates.per_emotion) == ["awe", "fear"]
    assert {name: (found.accepted, found.judged) for name, found in rates.per_recipe.items()} == {"a": (3, 3), "b": (1, 2)}
    rows = acceptance_rows(rates)
    assert [row[0] for row in rows] == ["all", "awe", "fear", "a", "b"]
    assert rows[0] == ("all", "4", "5", "80.0 %", "37.6 to 96.4 %")
    assert all(len(row) == len(COLUMNS) for row in rows)


def test_one_recipe_is_not_listed_beside_all_and_nothing_judged_is_said() -> None:
    assert [row[0] for row in acceptance_rows(acceptance_rates(reviews(("awe", "a", "accept"))))] == ["all", "awe"]
    nothing = acceptance_rates(reviews().cast({"emotion": pl.String, "recipe_id": pl.String, "verdict": pl.String}))
    assert (nothing.overall, nothing.per_emotion, acceptance_rows(nothing)) == (None, {}, [])
    with pytest.raises(ValueError, match="nothing was judged"):
        Acceptance.of(0, 0)
