"""Decisions: one row for every candidate picture, kept, or dropped with the reason. A query over stored tables, no model runs.

`decisions/<dataset>/<version>/` mirrors the image parts; `recipe.json` beside them says what decided.
"""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from coemogen_core.captioning.alignment_filter import KEPT, LOW_ALIGNMENT, drop_lowest_aligned
from coemogen_core.captioning.audit.reviews import rejected_attempts
from coemogen_core.captioning.current_captions import CaptionPolicy, current_captions_of_parts
from coemogen_core.curation.candidate_spool import CandidateSpool
from coemogen_core.curation.near_duplicates import NEAR_DUPLICATE, NearDuplicateRecipe, drop_near_duplicates, read_groups
from coemogen_core.curation.selection import LOW_CONFIDENCE, NO_LABEL, NOT_COLLECTED, NOT_SCORED, Selection
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.names import DatasetName
from coemogen_core.storage.workspace import Table, Workspace
from schemas.outcomes import PartOutcome
from schemas.tables import Decisions

CURRENT = "current"
DUPLICATE = "duplicate of an earlier part"
NO_CAPTION = "no caption"
REJECTED_CAPTION = "caption rejected by a person"
OTHER_EMOTION = "caption for another emotion"
NOT_EMBEDDED = "not embedded"
WRITERS = 4
PARTS_AT_ONCE = 16  # read and judged together, and in memory together: one by one costs several times as much
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
    NEAR_DUPLICATE,
)
"""Every reason to drop a picture, in the order in which they are asked."""


class CurationRecipe(BaseModel):
    """What makes a curated dataset out of stored labels, scores, captions and similarities."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: DatasetName = Field(description="name of the dataset, e.g. emoset or emoart")
    selection: Selection = Field(description="which pictures are wanted, and for which emotion")
    captions: CaptionPolicy = Field(description="which of a picture's captions is the current one")
    encoder_id: str = Field(min_length=1, description="encoder of the similarities")
    drop_fraction: float = Field(default=0.2, ge=0.0, lt=1.0, description="share of lowest similarity to drop within each emotion")
    near_duplicates: NearDuplicateRecipe | None = Field(
        default=None, description="keep only the largest of the pictures that look alike to the encoder; none = keep all of them"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A recipe without near-duplicates is written, and hashed, as it was before there were any."""
        fields: dict[str, Any] = serialise(self)
        if self.near_duplicates is None:
            del fields["near_duplicates"]
        return fields


class DecisionsRecord(BaseModel):
    """`recipe.json`: where a version of the decisions comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(description="recipe id of all the rest")
    source: str = Field(description="source of the pictures")
    parts: tuple[str, ...] = Field(description="image parts")
    captions: str = Field(description="SHA-256 over the current captions of the wanted pictures")
    recipe: CurationRecipe = Field(description="thresholds and upstream recipes")

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.recipe.dataset

    @property
    def policy(self) -> CaptionPolicy:
        """Which of a picture's captions is the current one."""
        return self.recipe.captions

    @property
    def encoder_id(self) -> str:
        """Encoder of the similarities."""
        return self.recipe.encoder_id

    def judge(self, workspace: Workspace, part: str) -> pl.DataFrame:
        """Every picture of an image part, wanted or not; see `Selection.judge`."""
        return self.recipe.selection.judge(workspace, self.source, part)


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
    """Decide every picture of the given image parts.

    Candidates lie on disk while the alignment filter and the near-duplicates look at all parts: in memory are a few parts at a time, and of
    every picture its id, label and similarity. The version hashes the recipe, the part names and the captions in use, so a caption that was
    added or replaced gives a new version and never changes a finished one.

    Raises:
        FileNotFoundError: an image part has not been ingested, scored (where scores decide) or aligned.
    """
    started = time.perf_counter()
    part_names = sorted(parts)
    if not part_names:
        raise FileNotFoundError(f"source {source!r} has no image parts in {workspace.uri}: ingest it first")
    groups = None
    if recipe.near_duplicates is not None:
        groups = read_groups(workspace, source, part_names, recipe.encoder_id, recipe.near_duplicates)
    with tempfile.TemporaryDirectory(prefix="decide-") as folder:
        spool = CandidateSpool(Path(folder))
        rejected = rejected_attempts(workspace, source)
        for start in range(0, len(part_names), PARTS_AT_ONCE):
            lot = part_names[start : start + PARTS_AT_ONCE]
            spool.add(lot, _candidates(workspace, source, lot, recipe, rejected))
        verdicts = _verdicts(spool.judged(), recipe.drop_fraction, groups)
        record = _record(source, part_names, spool.captions, recipe)
        names = ("decisions", recipe.dataset, record.version)
        if not workspace.exists(*names, "recipe.json"):
            workspace.write_json(record.model_dump(mode="json"), *names, "recipe.json")
        outcomes = _write_all(workspace.table(*names), spool, verdicts)
    return CurationOutcome(dataset=recipe.dataset, version=record.version, parts=outcomes, seconds=time.perf_counter() - started)


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


def chosen_version(workspace: Workspace, dataset: str, version: str) -> str:
    """A version by its name; `current` is the one that was last marked so. Raises FileNotFoundError like `current_version`."""
    return current_version(workspace, dataset) if version == CURRENT else version


def _write_all(table: Table, spool: CandidateSpool, verdicts: pl.DataFrame) -> tuple[PartOutcome, ...]:
    """Write every part; their rows are checked a lot at a time, because one part after the other takes many times as long."""
    outcomes: list[PartOutcome] = []
    with ThreadPoolExecutor(WRITERS) as threads:
        for parts, heights, candidates in spool.lots():
            start = sum(outcome.rows for outcome in outcomes)
            decided = _checked(candidates.drop("reason").hstack(verdicts.slice(start, candidates.height)))
            ends = list(accumulate(heights))
            lots = [decided.slice(end - height, height) for end, height in zip(ends, heights, strict=True)]
            outcomes += threads.map(partial(_write, table), parts, lots)
    return tuple(outcomes)


def _checked(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The rows as the schema wants them.

    Raises:
        dataframely.exc.ValidationError: a row breaks the schema, or a picture stands twice.
    """
    rows = Decisions.cast(verdicts.select(Decisions.column_names()))
    again = pl.col("reason") == DUPLICATE  # the one kind of row whose picture stands in another part as well
    for each in (rows.filter(~again), rows.filter(again).unique("image_id")):
        Decisions.validate(each)
    return rows


def _write(table: Table, part: str, decided: pl.DataFrame) -> PartOutcome:
    reused = table.has_part(part)
    if not reused:
        table.write_part(part, decided, Decisions, checked=True)
    return PartOutcome(part=part, rows=decided.height, dropped=int((~decided["kept"]).sum()), reused=reused)


def _candidates(workspace: Workspace, source: str, parts: list[str], recipe: CurationRecipe, rejected: pl.DataFrame) -> pl.DataFrame:
    """Every picture of some parts: label, caption and similarity where it is wanted, and every reason that one row alone can give."""
    judged = recipe.selection.judge_parts(workspace, source, parts)
    captions = current_captions_of_parts(workspace, source, parts, recipe.captions, recipe.encoder_id, judged, rejected)
    judged = judged.join(captions, on=["part", "image_id"], how="left", maintain_order="left")
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
        "part",
        "image_id",
        "label",
        "confidence",
        *(pl.when(wanted).then(column).alias(name) for name, column in of_caption.items()),
        reason.alias("reason"),
    )


def _verdicts(judged: pl.DataFrame, drop_fraction: float, groups: pl.DataFrame | None) -> pl.DataFrame:
    """The global steps: pictures that two parts share count once, then the alignment filter and the near-duplicates look at all parts.

    Args:
        judged: `image_id`, `label`, `similarity`, `reason` of all candidates.
        drop_fraction: of the alignment filter.
        groups: near-duplicates, if they are wanted.

    Returns:
        `reason`, `kept`, `near_duplicate_of` of the same rows.
    """
    duplicate = pl.when(~pl.col("image_id").is_first_distinct()).then(pl.lit(DUPLICATE)).otherwise("reason")
    rows = judged.with_columns(duplicate.alias("reason")).with_row_index("row")
    complete = rows.filter(pl.col("reason").is_null()).select("row", "image_id", "label", "similarity")
    filtered = drop_lowest_aligned(complete, drop_fraction).with_columns(near_duplicate_of=pl.lit(None, pl.String))
    if groups is not None:
        filtered = drop_near_duplicates(filtered, groups)
    final = filtered.select("row", "near_duplicate_of", final="reason")
    joined = rows.select("row", "reason").join(final, on="row", how="left", maintain_order="left")
    reasons = joined.select(pl.coalesce("reason", "final").alias("reason"), "near_duplicate_of")
    return reasons.with_columns(kept=pl.col("reason") == KEPT)


def _record(source: str, parts: list[str], captions: str, recipe: CurationRecipe) -> DecisionsRecord:
    fields = {"source": source, "parts": parts, "captions": captions, "recipe": recipe}
    return DecisionsRecord(version=recipe_id(recipe.dataset, fields), source=source, parts=tuple(parts), captions=captions, recipe=recipe)
