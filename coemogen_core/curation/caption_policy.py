"""Which of a picture's captions is the current one: a policy, applied as a query. Rolling back is choosing another recipe."""

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

Choice = Literal["pinned", "latest", "best_alignment"]


class CaptionPolicy(BaseModel):
    """How the current caption is chosen among the captions that a picture got over time.

    Captions that a person rejected are out of the question, whatever the policy. A caption that was asked for with the picture's present
    emotion as its prior comes before one that was asked for with another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    choose: Choice = Field(
        description="pinned: the latest caption of the given recipe; latest: the one asked for last; best_alignment: the one that CLIP "
        "finds most like the picture"
    )
    recipe_ids: tuple[str, ...] = Field(default=(), description="captions of these recipes only; none = of every recipe")

    @model_validator(mode="after")
    def _pinned_names_its_recipe(self) -> "CaptionPolicy":
        if self.choose == "pinned" and len(self.recipe_ids) != 1:
            raise ValueError(f"a pinned caption policy names exactly one recipe in `recipe_ids`, not {len(self.recipe_ids)}")
        return self

    @classmethod
    def pinned(cls, recipe_id: str) -> "CaptionPolicy":
        """Captions of one recipe."""
        return cls(choose="pinned", recipe_ids=(recipe_id,))

    def describe(self) -> str:
        """In words, for cards and reports."""
        recipes = " or ".join(f"`{recipe_id}`" for recipe_id in self.recipe_ids) or "any recipe"
        how = {"pinned": "of recipe", "latest": "the latest of", "best_alignment": "the most similar to its picture of"}[self.choose]
        return f"{how} {recipes}"

    def admits(self, recipe_id: str) -> bool:
        """Whether captions of this recipe take part."""
        return not self.recipe_ids or recipe_id in self.recipe_ids

    def select(self, captions: pl.DataFrame) -> pl.DataFrame:
        """One caption of each picture (of each part, where parts are told apart), in their order.

        Args:
            captions: `image_id, recipe_id, attempt, asked_at, similarity` (nullable) and `fits` (whether its prior is the picture's
                emotion); others pass through. Rows of recipes that take no part must be gone.
        """
        orders = {
            "pinned": ["attempt"],
            "latest": ["asked_at", "recipe_id", "attempt"],
            "best_alignment": ["similarity", "recipe_id", "attempt"],
        }
        picture = [name for name in ("part", "image_id") if name in captions.columns]
        ordered = captions.sort(*picture, "fits", *orders[self.choose], nulls_last=False, maintain_order=True)
        return ordered.unique(picture, keep="last", maintain_order=True)
