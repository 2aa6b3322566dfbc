"""Decisions: one row for every candidate picture, kept, or dropped with the reason. A query over stored tables, no model runs.

`decisions/<dataset>/<version>/` mirrors the image parts; `recipe.json` beside them says what decided.
"""

import hashlib
import time
from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.audit.reviews import rejected_attempts
from coemogen_core.curation.alignment_filter import KEPT, LOW_ALIGNMENT, drop_lowest_aligned
from coemogen_core.curation.caption_policy import CaptionPolicy
from coemogen_core.curation.current_captions import current_captions
from coemogen_core.curation.emoart import LOW_CONFIDENCE, NOT_SCORED
from coemogen_core.curation.emoset import NO_LABEL, NOT_COLLECTED
from coemogen_core.curation.selection import Selection
from coemogen_core.data.workspace import Workspace
from coemogen_core.recipe import recipe_id
from schemas.outcomes import PartOutcome
from schemas.tables import Decisions

DUPLICATE = "duplicate of an earlier part"
NO_CAPTION = "no caption"
REJECTED_CAPTION = "caption rejected by a person"
OTHER_EMOTION = "caption for another emotion"
NOT_EMBEDDED = "not embedded"
REASONS = (
    DUPLICATE,
    NO_LABEL,
    NOT_SCORED,
    LOW_CONFIDENCE,
    NOT_COLLECTED,
    NO_CAPTION,
    REJECTED_CAPTION,
    OTHER_EMOTION,
    NOT_EMBEDDED,
    LOW_ALIGNMENT,
)
"""Every reason to drop a picture, in the order in which they are asked."""


class CurationRecipe(BaseModel):
    """What makes a curated dataset out of stored labels, scores, captions and similarities."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(pattern="^[a-z][a-z0-9_]*$", description="name of the dataset, e.g. emoset or emoart")
    selection: Selection = Field(description="which pictures are wanted, and for which emotion")
    captions: CaptionPolicy = Field(description="which of a picture's captions is the current one")
    encoder_id: str = Field(min_length=1, description="encoder of the similarities")
    drop_fraction: float = Field(default=0.2, ge=0.0, lt=1.0, description="share of lowest similarity to drop within each emotion")


class DecisionsRecord(BaseModel):
    """`recipe.json`: where a version of the decisions comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(description="recipe id of all the rest")
    source: str = Field(description="source of the pictures")
    parts: tuple[str, ...] = Field(description="image parts")
    captions: str = Field(description="SHA-256 over the current captions of the wanted pictures")
    recipe: CurationRecipe = Field(description="thresholds and upstream recipes")


class CurationOutcome(BaseModel):
    """Outcome of the curation stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="recipe id; names the folder of the decisions")
    parts: tuple[PartOutcome, ...] = Field(description="per image part: candidates, and how many were dropped")
    seconds: float = Field(ge=0, description="wall-clock time")

    @property
    def reused(self) -> bool:
        """Whether every part was there already."""
        return all(outcome.reused for outcome in self.parts)


def decide(workspace: Workspace, source: str, parts: Sequence[str], recipe: CurationRecipe) -> CurationOutcome:
    """Decide every picture of the given image parts; all columns but the pictures are held in memory.

    The version hashes the recipe, the part names and the captions in use, so a caption that was added or replaced gives a new
    version and never changes a finished one.

    Raises:
        FileNotFoundError: an image part has not been ingested, scored (where scores decide) or aligned.
    """
    started = time.perf_counter()
    part_names = sorted(parts)
    rejected = rejected_attempts(workspace, source)
    candidates = [_candidates(workspace, source, part, recipe, rejected) for part in part_names]
    if not candidates:
        raise FileNotFoundError(f"source {source!r} has no image parts in {workspace.uri}: ingest it first")
    verdicts = _verdicts(pl.concat(candidates), recipe.drop_fraction)
    record = _record(source, part_names, verdicts, recipe)
    names = ("decisions", recipe.dataset, record.version)
    if not workspace.exists(*names, "recipe.json"):
        workspace.write_json(record.model_dump(mode="json"), *names, "recipe.json")
    table = workspace.table(*names)
    outcomes = []
    for part, rows in zip(part_names, candidates, strict=True):
        decided, verdicts = verdicts.head(rows.height), verdicts.slice(rows.height)
        reused = table.has_part(part)
        if not reused:
            table.write_part(part, decided, Decisions)
        outcomes.append(PartOutcome(part=part, rows=decided.height, dropped=int((~decided["kept"]).sum()), reused=reused))
    return CurationOutcome(dataset=recipe.dataset, version=record.version, parts=tuple(outcomes), seconds=time.perf_counter() - started)


def read_decisions(workspace: Workspace, dataset: str, version: str) -> pl.DataFrame:
    """All decisions of a version. Raises FileNotFoundError when there are none."""
    return workspace.table("decisions", dataset, version).read()


def read_record(workspace: Workspace, dataset: str, version: str) -> DecisionsRecord:
    """Where a version of the decisions comes from. Raises FileNotFoundError when there is no such version."""
    if not workspace.exists("decisions", dataset, version, "recipe.json"):
        raise FileNotFoundError(f"no decisions {version} in {workspace.path('decisions', dataset)}: curate the dataset first")
    return DecisionsRecord.model_validate(workspace.read_json("decisions", dataset, version, "recipe.json"))


def mark_current(workspace: Workspace, dataset: str, version: str) -> None:
    """Make a version the one that later stages take when none is named: `decisions/<dataset>/current.json`.

    Raises:
        FileNotFoundError: there is no such version.
    """
    read_record(workspace, dataset, version)
    workspace.write_json({"version": version}, "decisions", dataset, "current.json")


def current_version(workspace: Workspace, dataset: str) -> str:
    """The version that was last marked as current. Raises FileNotFoundError when the dataset was never curated here."""
    if not workspace.exists("decisions", dataset, "current.json"):
        raise FileNotFoundError(f"no curated dataset {dataset!r} in {workspace.uri}: run the flow that builds it first")
    return str(workspace.read_json("decisions", dataset, "current.json")["version"])


def _candidates(workspace: Workspace, source: str, part: str, recipe: CurationRecipe, rejected: pl.DataFrame) -> pl.DataFrame:
    """Every picture of a part: label, caption and similarity where it is wanted, and every reason that one row alone can give."""
    judged = recipe.selection.judge(workspace, source, part)
    captions = current_captions(workspace, source, part, recipe.captions, recipe.encoder_id, judged, rejected)
    judged = judged.join(captions, on="image_id", how="left", maintain_order="left")
    turned_down = pl.col("image_id").is_in(rejected["image_id"].implode())
    reason = (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("caption").is_null())
        .then(pl.when(turned_down).then(pl.lit(REJECTED_CAPTION)).otherwise(pl.lit(NO_CAPTION)))
        .when(pl.col("emotion_prior") != pl.col("label"))
        .then(pl.lit(OTHER_EMOTION))
        .when(pl.col("similarity").is_null())
        .then(pl.lit(NOT_EMBEDDED))
    )
    wanted = pl.col("reason").is_null()  # what lies in the tables for other thresholds is none of this version's business
    of_caption = {"caption": "caption", "similarity": "similarity", "caption_recipe_id": "recipe_id", "caption_attempt": "attempt"}
    of_caption |= {"text_tokens": "text_tokens", "cut_tokens": "cut_tokens"}
    return judged.select(
        "image_id",
        "label",
        "confidence",
        *(pl.when(wanted).then(column).alias(name) for name, column in of_caption.items()),
        reason.alias("reason"),
    )


def _verdicts(candidates: pl.DataFrame, drop_fraction: float) -> pl.DataFrame:
    """The global steps: pictures that two parts share count once, and the alignment filter looks at all parts together."""
    duplicate = pl.when(~pl.col("image_id").is_first_distinct()).then(pl.lit(DUPLICATE)).otherwise("reason")
    rows = candidates.with_columns(duplicate.alias("reason"))
    complete = rows.filter(pl.col("reason").is_null()).select("image_id", "label", "similarity")
    filtered = drop_lowest_aligned(complete, drop_fraction).select("image_id", final="reason")
    judged = rows.join(filtered, on="image_id", how="left", maintain_order="left")
    return judged.with_columns(pl.coalesce("reason", "final").alias("reason")).drop("final").with_columns(kept=pl.col("reason") == KEPT)


def _record(source: str, parts: list[str], verdicts: pl.DataFrame, recipe: CurationRecipe) -> DecisionsRecord:
    digest = hashlib.sha256()
    for image_id, caption in verdicts.filter(pl.col("caption").is_not_null()).select("image_id", "caption").iter_rows():
        digest.update(f"{image_id}\0{caption}\0".encode())
    fields = {"source": source, "parts": parts, "captions": digest.hexdigest(), "recipe": recipe}
    return DecisionsRecord(
        version=recipe_id(recipe.dataset, fields), source=source, parts=tuple(parts), captions=digest.hexdigest(), recipe=recipe
    )
