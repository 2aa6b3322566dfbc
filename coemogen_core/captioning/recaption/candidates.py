"""The pictures to caption again: a query over decisions' inputs (labels or scores, captions, alignment, reviews). Asks no model."""

from dataclasses import dataclass
from typing import Literal, get_args

import dataframely as dy
import polars as pl
from pydantic import Field

from coemogen_core.captioning.alignment_filter import drop_lowest_aligned
from coemogen_core.captioning.attempts import HISTORY_COLUMNS, read_attempts
from coemogen_core.captioning.audit.reviews import rejected_attempts
from coemogen_core.captioning.backend import is_final
from coemogen_core.captioning.current_captions import CaptionedDataset, current_captions, turned_down
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.storage.location import open_file
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

Reason = Literal["rejected by a person", "failed", "linted", "listed", "low alignment", "older recipe"]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order in which a budget is spent: what has no usable caption first, what is merely old last."""


class RecaptionReasons(FrozenModel):
    """Which pictures to caption again. A picture that several reasons name counts under the first of them."""

    rejected: bool = Field(default=True, description="captions that a person rejected in an audit")
    failed: bool = Field(default=True, description="pictures without a caption: never asked for, or no answer came")
    linted: bool = Field(default=True, description="answers that a lint turned down, and captions that CLIP's window cuts off")
    lowest_alignment: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="share of each emotion's captions that CLIP finds least like their pictures; 0 = none"
    )
    older_recipe: bool = Field(default=False, description="captions of any other recipe than the one asked now")
    list_uri: str | None = Field(default=None, description="file with one image id a line: caption these as well")

    @property
    def identity(self) -> dict[str, object]:
        """What decides the choice, JSON-serialisable: the list's ids, not its name. Raises like `listed`."""
        return self.model_dump(mode="json") | {"list_uri": sorted(self.listed())}

    def listed(self) -> frozenset[str]:
        """Image ids of the list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is no image id; the message names the line.
        """
        if self.list_uri is None:
            return frozenset()
        with open_file(self.list_uri, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        for number, line in enumerate(lines, 1):
            if line and (len(line) != 64 or not set(line) <= set("0123456789abcdef")):
                raise ValueError(f"{self.list_uri}, line {number}: {line[:80]!r} is no image id (64 hexadecimal digits, as in the tables)")
        return frozenset(line for line in lines if line)


class Candidates(dy.Schema):
    """One picture to caption again, with the caption that it has now."""

    image_id = dy.String(primary_key=True)
    part = dy.String(nullable=False)
    emotion = dy.String(nullable=False)
    reason = dy.String(nullable=False, check=lambda column: column.is_in(REASONS))
    after_attempt = dy.Int32(min=0, nullable=False)  # number of its last attempt with the recipe that is asked now
    caption = dy.String(nullable=True)
    similarity = dy.Float32(nullable=True)
    recipe_id = dy.String(nullable=True)
    attempt = dy.Int32(nullable=True)


@dataclass(frozen=True)
class Found:
    """Candidates in the order in which a budget is spent, and how many pictures were left out because asking again is pointless."""

    candidates: pl.DataFrame
    exhausted: int
    over_budget: int


def find_candidates(
    workspace: Workspace,
    record: CaptionedDataset,
    recipe: CaptionRecipe,
    new_recipe_id: str,
    reasons: RecaptionReasons,
    max_tries: int,
    max_images: int | None,
) -> Found:
    """The pictures of a version of a dataset to caption again with a recipe.

    Args:
        new_recipe_id: of the recipe.
        max_tries: a picture that this recipe was asked about so often is left alone; a greedy recipe that has answered, likewise.
        max_images: the budget.

    Raises:
        FileNotFoundError: captions have not been aligned, or a list does not exist.
    """
    rejected = rejected_attempts(workspace)
    listed = reasons.listed()
    parts = [_pictures_of_part(workspace, record, part, recipe, new_recipe_id, rejected) for part in record.parts]
    pictures = pl.concat(parts).unique("image_id", keep="first", maintain_order=True)
    scored = pictures.filter(pl.col("similarity").is_not_null()).select("image_id", "similarity", label="emotion")
    lowest = drop_lowest_aligned(scored, reasons.lowest_alignment).filter(~pl.col("kept"))["image_id"]
    named = pictures.with_columns(reason=_reason(reasons, listed, lowest, new_recipe_id)).filter(pl.col("reason").is_not_null())
    open_ones = named.filter(~pl.col("exhausted") & (pl.col("tries") < max_tries))
    priority = pl.col("reason").replace_strict(list(REASONS), list(range(len(REASONS))), return_dtype=pl.Int8)
    ordered = open_ones.sort(priority, pl.col("similarity").fill_null(-2.0), "image_id").select(Candidates.column_names())
    chosen = ordered if max_images is None else ordered.head(max_images)
    return Found(
        Candidates.validate(chosen, cast=True), exhausted=named.height - open_ones.height, over_budget=ordered.height - chosen.height
    )


def _reason(reasons: RecaptionReasons, listed: frozenset[str], lowest: pl.Series, new_recipe_id: str) -> pl.Expr:
    """The first reason, in the order of `REASONS`, that names a picture."""
    captioned = pl.col("caption").is_not_null()
    tests = {
        "rejected by a person": pl.col("turned_down") if reasons.rejected else pl.lit(False),
        "failed": ~captioned & ~pl.col("was_linted") if reasons.failed else pl.lit(False),
        "linted": (~captioned & pl.col("was_linted")) | (pl.col("cut_tokens").fill_null(0) > 0) if reasons.linted else pl.lit(False),
        "listed": pl.col("image_id").is_in(pl.Series(sorted(listed), dtype=pl.String).implode()),
        "low alignment": pl.col("image_id").is_in(lowest.implode()),
        "older recipe": captioned & (pl.col("recipe_id") != new_recipe_id) if reasons.older_recipe else pl.lit(False),
    }
    return pl.coalesce(pl.when(tests[reason]).then(pl.lit(reason)) for reason in REASONS)


def _pictures_of_part(
    workspace: Workspace, record: CaptionedDataset, part: str, recipe: CaptionRecipe, new_recipe_id: str, rejected: pl.DataFrame
) -> pl.DataFrame:
    """Every wanted picture of a part with its present caption, what became of its last attempt, and what the new recipe did for it."""
    judged = record.judge(workspace, part)
    wanted = judged.filter(pl.col("reason").is_null()).select("image_id", "label")
    captions = current_captions(workspace, record.source, part, record.policy, record.encoder_id, judged, rejected)
    of_part = judged.select(pl.lit(part).alias("part"), "image_id", "label")
    down = turned_down(workspace, record.source, [part], record.policy, of_part, rejected)["image_id"]
    fitting = captions.join(wanted, on="image_id").filter(pl.col("emotion_prior").is_null() | (pl.col("emotion_prior") == pl.col("label")))
    history = read_attempts(workspace, record.source, part, None, ["image_id", "recipe_id", "attempt", "asked_at", "error"])
    last = history.sort("asked_at", "recipe_id", "attempt").unique("image_id", keep="last", maintain_order=True)
    linted = last.select("image_id", was_linted=pl.col("error").str.contains("^(?:rejected|malformed):").fill_null(False))
    return (
        wanted.rename({"label": "emotion"})
        .join(fitting.drop("label", "emotion_prior"), on="image_id", how="left", maintain_order="left")
        .join(linted, on="image_id", how="left", maintain_order="left")
        .join(_tries(workspace, record.source, part, recipe, new_recipe_id, wanted), on="image_id", how="left", maintain_order="left")
        .with_columns(
            part=pl.lit(part),
            was_linted=pl.col("was_linted").fill_null(False),
            turned_down=pl.col("image_id").is_in(down.implode()) & pl.col("caption").is_null(),
            after_attempt=pl.col("after_attempt").fill_null(0),
            tries=pl.col("tries").fill_null(0),
            exhausted=pl.col("exhausted").fill_null(False),
        )
    )


def _tries(workspace: Workspace, source: str, part: str, recipe: CaptionRecipe, new_recipe_id: str, wanted: pl.DataFrame) -> pl.DataFrame:
    """What the recipe that is asked now has done: `after_attempt`, `tries` with the present emotion, whether it is `exhausted`."""
    attempts = read_attempts(workspace, source, part, new_recipe_id, HISTORY_COLUMNS).join(wanted, on="image_id")
    same = pl.col("emotion_prior").is_null() | (pl.col("emotion_prior") == pl.col("label"))
    final = pl.col("error").map_elements(lambda error: is_final(error, deterministic=recipe.deterministic), return_dtype=pl.Boolean)
    settled = final.fill_null(False) | (pl.col("caption").is_not_null() & pl.lit(recipe.deterministic))
    return attempts.group_by("image_id").agg(
        after_attempt=pl.col("attempt").max(), tries=same.sum().cast(pl.Int32), exhausted=(same & settled).any()
    )
