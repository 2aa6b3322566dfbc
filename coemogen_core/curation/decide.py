"""Decide every candidate picture of a dataset: keep it, or drop it with the reason. A query over stored tables, no model runs.

Other thresholds for a decided dataset are the same query again.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from coemogen_core.captioning.alignment_filter import KEPT, drop_lowest_aligned
from coemogen_core.captioning.audit.reviews import rejected_attempts
from coemogen_core.captioning.current_captions import current_captions_of_parts, turned_down
from coemogen_core.curation.decisions import (
    DUPLICATE,
    NO_CAPTION,
    NOT_EMBEDDED,
    OTHER_EMOTION,
    REJECTED_CAPTION,
    CurationRecipe,
    DecisionsRecord,
    read_record,
    write_record,
)
from coemogen_core.curation.near_duplicates import (
    NearDuplicateRecipe,
    drop_near_duplicates,
    group_near_duplicates,
    near_duplicates_id,
    read_groups,
)
from coemogen_core.recipe import recipe_id
from coemogen_core.storage.workspace import Table, Workspace
from schemas.frozen_model import FrozenModel
from schemas.outcomes import PartOutcome
from schemas.tables import Decisions

WRITERS = 4
PARTS_AT_ONCE = 16  # read and judged together, and in memory together: one by one costs several times as much
LINES_AT_ONCE = 10_000
JUDGED = ("image_id", "label", "similarity", "reason")


class CurationOutcome(FrozenModel):
    """Outcome of the curation stage."""

    dataset: str = Field(description="name of the dataset")
    version: str = Field(description="recipe id; names the folder of the decisions")
    parts: tuple[PartOutcome, ...] = Field(description="per image part: candidates, and how many were dropped")
    seconds: float = Field(ge=0, description="wall-clock time")

    @property
    def reused(self) -> bool:
        """Whether every part was there already."""
        return all(outcome.reused for outcome in self.parts)


class Thresholds(FrozenModel):
    """What to change; none = as it was."""

    min_confidence: float | None = Field(default=None, ge=0.0, lt=1.0, description="a classifier's confidence must be greater than this")
    drop_fraction: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of lowest similarity to drop within each emotion")
    near_duplicate_distance: float | None = Field(
        default=None, ge=0.0, le=0.5, description="cosine distance up to which pictures count as one; 0 = keep near-duplicates"
    )


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
    named, groups = None, None
    if recipe.near_duplicates is not None:
        named = near_duplicates_id(workspace, source, part_names, recipe.encoder_id, recipe.near_duplicates)
        groups = read_groups(workspace, source, named)
    with tempfile.TemporaryDirectory(prefix="decide-") as folder:
        candidates = _Candidates(Path(folder))
        rejected = rejected_attempts(workspace)
        for start in range(0, len(part_names), PARTS_AT_ONCE):
            lot = part_names[start : start + PARTS_AT_ONCE]
            candidates.add(lot, _judge(workspace, source, lot, recipe, rejected))
        repeated = _repeated(workspace, source, candidates)
        verdicts = _verdicts(candidates.judged(), repeated, recipe.drop_fraction, groups)
        fields = {"source": source, "parts": part_names, "captions": candidates.captions, "recipe": recipe}
        rule = {} if repeated.is_empty() else {"repeated pictures": "count where their path is first"}  # it once was their part's name
        version = recipe_id(recipe.dataset, fields | rule)
        record = DecisionsRecord.model_validate({"version": version, "groups": named, **fields})
        write_record(workspace, record)  # before the parts: from now on they are in use
        outcomes = _write_all(workspace.table("decisions", recipe.dataset, record.version), candidates, verdicts)
    return CurationOutcome(dataset=recipe.dataset, version=record.version, parts=outcomes, seconds=time.perf_counter() - started)


def refilter(workspace: Workspace, dataset: str, version: str, thresholds: Thresholds) -> CurationOutcome:
    """Decide the pictures of a version again with other thresholds, as a version beside it; which one is current does not change.

    Pictures that a lower threshold lets in but that were never captioned have the reason "no caption": building the dataset with that
    threshold asks for theirs. Captions and verdicts that came since count, as in every new version.

    Raises:
        FileNotFoundError: there is no such version, or a table that it was made from is gone.
        ValueError: a confidence for a dataset whose emotions people gave.
    """
    record = read_record(workspace, dataset, version)
    recipe = with_thresholds(record.recipe, thresholds)
    if recipe.near_duplicates is not None:
        group_near_duplicates(workspace, record.source, record.parts, recipe.encoder_id, recipe.near_duplicates)
    return decide(workspace, record.source, record.parts, recipe)


def with_thresholds(recipe: CurationRecipe, thresholds: Thresholds) -> CurationRecipe:
    """The recipe with other thresholds. Raises ValueError like `refilter`."""
    changes: dict[str, Any] = {}
    if thresholds.drop_fraction is not None:
        changes["drop_fraction"] = thresholds.drop_fraction
    if thresholds.min_confidence is not None:
        if recipe.selection.classifier_id is None:
            raise ValueError(
                f"dataset {recipe.dataset!r} takes its emotions from labels, so there is no confidence: leave min_confidence out"
            )
        changes["selection"] = recipe.selection.model_copy(update={"min_confidence": thresholds.min_confidence})
    if thresholds.near_duplicate_distance is not None:
        distance = thresholds.near_duplicate_distance
        changes["near_duplicates"] = NearDuplicateRecipe(max_distance=distance) if distance else None
    return recipe.model_copy(update=changes)


def _write_all(table: Table, candidates: "_Candidates", verdicts: pl.DataFrame) -> tuple[PartOutcome, ...]:
    """Write every part; their rows are checked a lot at a time, because one part after the other takes many times as long."""
    outcomes: list[PartOutcome] = []
    with ThreadPoolExecutor(WRITERS) as threads:
        for parts, heights, rows in candidates.lots():
            start = sum(outcome.rows for outcome in outcomes)
            decided = _checked(rows.drop("reason").hstack(verdicts.slice(start, rows.height)))
            ends = list(accumulate(heights))
            lots = [decided.slice(end - height, height) for end, height in zip(ends, heights, strict=True)]
            outcomes += threads.map(partial(_write, table), parts, lots)
    return tuple(outcomes)


def _checked(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The rows as the schema wants them. Raises dataframely.exc.ValidationError when a row breaks it, or a picture stands twice."""
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


def _judge(workspace: Workspace, source: str, parts: list[str], recipe: CurationRecipe, rejected: pl.DataFrame) -> pl.DataFrame:
    """Every picture of some parts: label, caption and similarity where it is wanted, and every reason that one row alone can give.

    Returns:
        `part`, in the order of the parts, and the columns of `Decisions` but `kept` and `near_duplicate_of`; `reason` is null where there
        is none.
    """
    judged = recipe.selection.judge_parts(workspace, source, parts)
    captions = current_captions_of_parts(workspace, source, parts, recipe.captions, recipe.encoder_id, judged, rejected)
    down = turned_down(workspace, source, parts, recipe.captions, judged, rejected).with_columns(turned_down=pl.lit(True))
    for more in (captions, down):
        judged = judged.join(more, on=["part", "image_id"], how="left", maintain_order="left")
    reason = (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("caption").is_null())
        .then(pl.when("turned_down").then(pl.lit(REJECTED_CAPTION)).otherwise(pl.lit(NO_CAPTION)))
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


def _repeated(workspace: Workspace, source: str, candidates: "_Candidates") -> pl.Series:
    """Rows of candidates whose picture stands in another part, too, under a path that comes first.

    Within a part ingestion has taken the first path already: so a picture that lies under two emotions has the same one however the
    source is cut.
    """
    rows = candidates.judged().select("image_id").with_row_index("row").filter(pl.col("image_id").is_duplicated())
    if rows.is_empty():
        return pl.Series(dtype=pl.UInt32)
    rows = rows.with_columns(part=candidates.parts_of(rows["row"]))
    images, found = workspace.table("images", source), []
    for part in rows["part"].unique().sort():
        paths = images.read_part(part, ["image_id", "image.path"]).select("image_id", path=pl.col("image").struct.field("path"))
        found.append(rows.filter(part=part).join(paths, on="image_id", how="left", maintain_order="left"))
    ordered = pl.concat(found).sort("path", "part")
    return ordered.filter(~pl.col("image_id").is_first_distinct())["row"]


def _verdicts(judged: pl.DataFrame, repeated: pl.Series, drop_fraction: float, groups: pl.DataFrame | None) -> pl.DataFrame:
    """`reason`, `kept`, `near_duplicate_of` of all candidates, given their columns `JUDGED`, by the steps that look at all parts.

    Pictures that two parts share count once (`_repeated`), then come the alignment filter and the near-duplicates.
    """
    numbered = judged.with_row_index("row")
    duplicate = pl.when(pl.col("row").is_in(repeated.implode())).then(pl.lit(DUPLICATE)).otherwise("reason")
    rows = numbered.with_columns(duplicate.alias("reason"))
    complete = rows.filter(pl.col("reason").is_null()).select("row", "image_id", "label", "similarity")
    filtered = drop_lowest_aligned(complete, drop_fraction).with_columns(near_duplicate_of=pl.lit(None, pl.String))
    if groups is not None:
        filtered = drop_near_duplicates(filtered, groups)
    final = filtered.select("row", "near_duplicate_of", final="reason")
    joined = rows.select("row", "reason").join(final, on="row", how="left", maintain_order="left")
    reasons = joined.select(pl.coalesce("reason", "final").alias("reason"), "near_duplicate_of")
    return reasons.with_columns(kept=pl.col("reason") == KEPT)


class _Candidates:
    """The candidates of many parts on disk, a lot of parts a file, in the order in which they were added."""

    def __init__(self, folder: Path) -> None:
        """The folder is empty, and the caller's."""
        self._folder = folder
        self._lots: list[tuple[list[str], list[int]]] = []
        self._judged: list[pl.DataFrame] = []
        self._digest = hashlib.sha256()

    @property
    def captions(self) -> str:
        """SHA-256 over image id and caption of every candidate that has one, in order."""
        return self._digest.hexdigest()

    def add(self, parts: Sequence[str], candidates: pl.DataFrame) -> None:
        """Put away the candidates of some parts: rows of `_judge`, in the order of the parts, of which some may have none."""
        counted = dict(candidates["part"].cast(pl.String).value_counts().iter_rows())
        rows = candidates.drop("part")
        rows.write_ipc(self._file(len(self._lots)))
        self._lots.append((list(parts), [counted.get(part, 0) for part in parts]))
        self._judged.append(rows.select(JUDGED))
        lines = rows.filter(pl.col("caption").is_not_null()).select(pl.concat_str("image_id", pl.lit("\0"), "caption", pl.lit("\0")))
        for lot in lines.iter_slices(LINES_AT_ONCE):
            self._digest.update("".join(lot.to_series()).encode())

    def judged(self) -> pl.DataFrame:
        """`image_id`, `label`, `similarity` and `reason` of all candidates."""
        return pl.concat(self._judged)

    def parts_of(self, rows: pl.Series) -> pl.Series:
        """Names of the parts that rows, by their numbers among all candidates, are of."""
        names, heights = (list(chain.from_iterable(each)) for each in zip(*self._lots, strict=True))
        ends = pl.Series(accumulate(heights), dtype=pl.UInt32)
        return pl.Series(names, dtype=pl.String).gather(ends.search_sorted(rows, side="right"))

    def lots(self) -> Iterator[tuple[list[str], list[int], pl.DataFrame]]:
        """Parts, their numbers of rows, and their candidates, a lot after the other."""
        for number, (parts, heights) in enumerate(self._lots):
            with self._file(number).open("rb") as file:  # of a path, polars would take brackets for a pattern
                yield parts, heights, pl.read_ipc(file)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.arrow"
