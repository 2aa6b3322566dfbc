"""The current caption of every picture of a part: stored attempts and similarities, chosen by a policy."""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import polars as pl
from pydantic import Field, model_validator

from coemogen_core.captioning.attempts import ATTEMPT_KEY, chunk_names, part_recipe_sequence
from coemogen_core.recipe import Recipe, Unordered
from coemogen_core.storage.workspace import Workspace

Choice = Literal["pinned", "latest", "best_alignment"]


class CaptionPolicy(Recipe):
    """How the current caption is chosen among the captions that a picture got over time.

    Captions that a person rejected are out of the question, whatever the policy. A caption that was asked for with the picture's present
    emotion as its prior comes before one that was asked for with another.
    """

    choose: Choice = Field(
        description="pinned: the latest caption of the given recipe; latest: the one whose request was sent last (`asked_at`); "
        "best_alignment: the one that CLIP finds most like the picture"
    )
    recipe_ids: Annotated[tuple[str, ...], Unordered] = Field(
        default=(), description="captions of these recipes only; none = of every recipe"
    )

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


CURRENT = {
    "image_id": pl.String,
    "caption": pl.String,
    "emotion_prior": pl.String,
    "similarity": pl.Float32,
    "text_tokens": pl.Int32,
    "cut_tokens": pl.Int32,
    "recipe_id": pl.String,
    "attempt": pl.Int32,
}
"""Columns of the current captions; `similarity` and the tokens are null where the picture has no embedding."""

REJECTED = (*ATTEMPT_KEY, "emotion_prior", "caption")
"""What a person's verdict is about: a picture's caption that answers to an emotion (null = to none in particular), by its text; where
that is null, by the number of its attempt."""

_ATTEMPT = [*ATTEMPT_KEY, "caption", "emotion_prior", "asked_at"]


_FITS = (pl.col("emotion_prior").is_null() | (pl.col("emotion_prior") == pl.col("label"))).fill_null(False)


def admitted_chunks(workspace: Workspace, source: str, part: str, policy: CaptionPolicy) -> list[str]:
    """Chunks of an image part whose recipes take part in the choice."""
    return [chunk for chunk in chunk_names(workspace, source, part) if policy.admits(part_recipe_sequence(chunk)[1])]


class CaptionedDataset(Protocol):
    """A version of a curated dataset, as far as its captions are concerned; `curation.decisions.DecisionsRecord` is one."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def version(self) -> str:
        """Names the folder of its decisions."""

    @property
    def source(self) -> str:
        """Source of its pictures."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Its image parts."""

    @property
    def policy(self) -> CaptionPolicy:
        """Which of a picture's captions is the current one."""

    @property
    def encoder_id(self) -> str:
        """Encoder of the similarities."""

    def judge(self, workspace: Workspace, part: str) -> pl.DataFrame:
        """Every picture of an image part: `image_id`, `label`, `confidence`, `reason` (null = wanted)."""


def current_captions(
    workspace: Workspace,
    source: str,
    part: str,
    policy: CaptionPolicy,
    encoder_id: str,
    labels: pl.DataFrame,
    rejected: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Current caption of each picture of an image part that has one.

    Args:
        encoder_id: encoder of the similarities.
        labels: `image_id, label`: the present emotion of each picture.
        rejected: captions that a person rejected, their columns `REJECTED`.

    Returns:
        The columns `CURRENT`, one row per picture, sorted by id.

    Raises:
        FileNotFoundError: a chunk has not been aligned with this encoder.
    """
    of_part = labels.select(pl.lit(part, pl.Enum([part])).alias("part"), "image_id", "label")
    return current_captions_of_parts(workspace, source, [part], policy, encoder_id, of_part, rejected).drop("part")


def current_captions_of_parts(
    workspace: Workspace,
    source: str,
    parts: Sequence[str],
    policy: CaptionPolicy,
    encoder_id: str,
    labels: pl.DataFrame,
    rejected: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Like `current_captions`, for many image parts at once: `labels` and the result have `part` (an enumeration of `parts`) in front."""
    kind = pl.Enum(parts)
    image_parts = {chunk: part for part in parts for chunk in admitted_chunks(workspace, source, part, policy)}
    if not image_parts:
        return pl.DataFrame(schema={"part": kind, **CURRENT})
    captions = _aligned_chunks(workspace, source, list(image_parts), encoder_id)
    captions = captions.with_columns(part=pl.col("part").replace_strict(image_parts, return_dtype=kind))
    if rejected is not None:
        captions = captions.filter(~_is_rejected(captions, rejected))
    labelled = captions.join(labels.select("part", "image_id", "label"), on=["part", "image_id"], how="left", maintain_order="left")
    return policy.select(labelled.with_columns(fits=_FITS)).select("part", *CURRENT)


def turned_down(
    workspace: Workspace, source: str, parts: Sequence[str], policy: CaptionPolicy, labels: pl.DataFrame, rejected: pl.DataFrame
) -> pl.DataFrame:
    """`part` and `image_id` of pictures that have a caption for their emotion which a person rejected; arguments as above."""
    of_rejected = labels.select("part", "image_id", "label").join(rejected, on="image_id", how="semi")
    affected = set(of_rejected["part"].cast(pl.String))
    image_parts = {chunk: part for part in parts if part in affected for chunk in admitted_chunks(workspace, source, part, policy)}
    if not image_parts:
        return of_rejected.select("part", "image_id").clear()
    captions = workspace.table("captions", source).read_parts(list(image_parts), _ATTEMPT).filter(pl.col("caption").is_not_null())
    down = captions.filter(_is_rejected(captions, rejected))
    in_part = down.with_columns(part=pl.col("part").replace_strict(image_parts, return_dtype=of_rejected["part"].dtype))
    return in_part.join(of_rejected, on=["part", "image_id"]).filter(_FITS).select("part", "image_id").unique()


def _is_rejected(captions: pl.DataFrame, rejected: pl.DataFrame) -> pl.Series:
    """Of each caption, whether a person rejected it."""
    ways = {
        ("image_id", "recipe_id", "emotion_prior", "caption"): rejected.drop_nulls("caption"),
        (*ATTEMPT_KEY, "emotion_prior"): rejected.filter(pl.col("caption").is_null()),
    }
    found = pl.repeat(False, captions.height, dtype=pl.Boolean, eager=True)
    for key, rows in ways.items():
        marked = captions.join(rows.select(*key, marked=True), on=key, how="left", nulls_equal=True, maintain_order="left")
        found |= marked["marked"].fill_null(False)
    return found


def _aligned_chunks(workspace: Workspace, source: str, chunks: list[str], encoder_id: str) -> pl.DataFrame:
    """Captions of the chunks with their similarity; `part` is the chunk."""
    alignment = workspace.table("alignment", source, encoder_id)
    alignment.require_parts(chunks, f"align the captions of source {source!r} with this encoder first")
    attempts = workspace.table("captions", source).read_parts(chunks, _ATTEMPT).filter(pl.col("caption").is_not_null())
    scores = alignment.read_parts(chunks, [*ATTEMPT_KEY, "similarity", "text_tokens", "cut_tokens"])
    return attempts.join(scores, on=["part", *ATTEMPT_KEY], how="left", maintain_order="left")
