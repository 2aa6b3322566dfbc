"""Acceptance rates: which share of the judged captions was accepted, and how sure that is after so many verdicts."""

import polars as pl
import scipy
from pydantic import Field

from coemogen_core.emotions import EMOTIONS
from schemas.frozen_model import FrozenModel

CONFIDENCE_LEVEL = 0.95
COLUMNS = ("captions", "accepted", "judged", "rate", "95 % interval")


class Acceptance(FrozenModel):
    """The acceptance of some captions."""

    accepted: int = Field(ge=0, description="captions accepted")
    judged: int = Field(ge=1, description="captions accepted or rejected")
    rate: float = Field(ge=0.0, le=1.0, description="accepted / judged")
    low: float = Field(ge=0.0, le=1.0, description="lower end of the 95 % interval of the rate (Wilson)")
    high: float = Field(ge=0.0, le=1.0, description="upper end")

    @classmethod
    def of(cls, accepted: int, judged: int) -> "Acceptance":
        """Rate and Wilson score interval (`scipy.stats.binomtest`). Raises ValueError when nothing was judged."""
        if judged < 1:
            raise ValueError("nothing was judged, so there is no acceptance rate")
        interval = scipy.stats.binomtest(accepted, judged).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
        low, high = (min(max(float(end), 0.0), 1.0) for end in (interval.low, interval.high))
        return cls(accepted=accepted, judged=judged, rate=accepted / judged, low=low, high=high)


class AcceptanceRates(FrozenModel):
    """Acceptance overall and by what may explain it. Where nothing was judged there is no entry."""

    overall: Acceptance | None = Field(
        description="all judged captions; as an audit draws equally many of each emotion, no estimate for a corpus with rare ones"
    )
    per_emotion: dict[str, Acceptance] = Field(description="by the emotion that the caption answers to, in the usual order")
    per_recipe: dict[str, Acceptance] = Field(description="by caption recipe")


def acceptance_rates(reviews: pl.DataFrame) -> AcceptanceRates:
    """Acceptance rates of reviews.

    Args:
        reviews: columns `emotion`, `recipe_id` and `verdict` ("accept" or "reject"), one row a caption.
    """
    accepted = reviews.with_columns(accepted=pl.col("verdict") == "accept")
    by_emotion = _by(accepted, "emotion")
    return AcceptanceRates(
        overall=Acceptance.of(int(accepted["accepted"].sum()), accepted.height) if accepted.height else None,
        per_emotion={emotion: by_emotion[emotion] for emotion in EMOTIONS if emotion in by_emotion},
        per_recipe=_by(accepted, "recipe_id"),
    )


def acceptance_rows(rates: AcceptanceRates) -> list[tuple[str, ...]]:
    """The rates as people read them, a tuple of `COLUMNS` a line: all captions, each emotion, and each recipe where there are several."""
    rows = {"all": rates.overall} if rates.overall is not None else {}
    rows |= rates.per_emotion | (rates.per_recipe if len(rates.per_recipe) > 1 else {})
    return [(name, *_cells(acceptance)) for name, acceptance in rows.items()]


def _by(reviews: pl.DataFrame, column: str) -> dict[str, Acceptance]:
    counts = reviews.group_by(column).agg(pl.col("accepted").sum(), judged=pl.len()).sort(column)
    return {name: Acceptance.of(accepted, judged) for name, accepted, judged in counts.iter_rows()}


def _cells(found: Acceptance) -> tuple[str, ...]:
    interval = f"{100 * found.low:.1f} to {100 * found.high:.1f} %"
    return f"{found.accepted:,}", f"{found.judged:,}", f"{100 * found.rate:.1f} %", interval
