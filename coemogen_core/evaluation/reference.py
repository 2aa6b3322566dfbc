"""The real images that generated ones are compared with: which they are, their features part by part, and single pictures.

Features lie under `evaluation/<features id>/real/<source>` as safetensors, keyed by part and the hash of its chosen rows: what exists is
never computed again.
"""

import time
from collections.abc import Collection
from contextlib import nullcontext
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from coemogen_core.curation.decisions import NOT_WANTED, DecisionsRecord
from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.splits import with_splits
from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, Emotion, parse_emotion
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, concatenate
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.sample_pictures import StoredPictures, cached_features
from coemogen_core.recipe import NotIdentifying, Recipe
from coemogen_core.storage.row_digest import RowDigest, rows_digest
from coemogen_core.storage.workspace import Workspace
from schemas.choices import LabelOrigin
from schemas.metrics import EvaluationProtocol
from schemas.outcomes import PartOutcome


class ReferenceSelection(Recipe):
    """Which real images the generated ones are compared with, and what emotion each stands for."""

    source: str = Field(min_length=1, description="name of the image source")
    dataset: Annotated[str | None, NotIdentifying] = Field(
        default=None, description="curated dataset whose decisions give the labels; none = the labels of the source"
    )
    version: Annotated[str | None, NotIdentifying] = Field(default=None, description="version of these decisions")
    labels: LabelOrigin = Field(default="source", description="who gave the labels")
    split: str | None = Field(description="the split that is taken; null for all labelled images")
    parts: tuple[str, ...] = Field(description="image parts that hold such images, sorted")
    images: int = Field(ge=1, description="number of images")
    emotions: tuple[Emotion, ...] = Field(default=EMOTIONS, min_length=1, description="emotions that they have")
    rows: str = Field(description="hash of their ids and labels")

    def read(self, workspace: Workspace, part: str) -> pl.DataFrame:
        """The selected images of a part, in its order: `row` (its number there), `image_id`, `label`."""
        rows = _labelled_rows(workspace, self.source, part, self.dataset, self.version, emotions=self.emotions)
        return (rows if self.split is None else rows.filter(pl.col("split") == self.split)).drop("split")


def select_reference(
    workspace: Workspace,
    source: str,
    minimum: int,
    protocol: EvaluationProtocol,
    record: DecisionsRecord | None = None,
    emotions: Collection[Emotion] = EMOTIONS,
) -> ReferenceSelection:
    """The labelled images of the test split where there are at least `minimum`, of all emotions, else of all splits.

    Images that the model was trained on flatter its FID, so a held-out split comes first; a small one says less than a mixed one.
    Protocol "emogen" takes all splits, as the public evaluation code does.

    Args:
        record: the curated dataset that the model learned from: its wanted pictures, with the labels that its decisions gave them, be they
            filtered out for their captions or not. None takes all pictures that the source itself labels.
        emotions: what is generated: real images of others are none that it should be like. Protocol "emogen" takes all.

    Raises:
        FileNotFoundError: the source was not ingested.
        ValueError: it has no labelled images.
    """
    decided: dict[str, Any] = {} if record is None else {"dataset": record.dataset, "version": record.version}
    parts = record.parts if record is not None else current_parts(workspace, source)
    if not parts:
        raise FileNotFoundError(f"table {workspace.table('images', source).uri} has no parts: ingest the source {source!r} first")
    wanted = EMOTIONS if protocol == "emogen" else emotions
    labelled = {part: _labelled_rows(workspace, source, part, **decided, emotions=wanted) for part in parts}
    present = {emotion for rows in labelled.values() for emotion in rows["label"].unique()}
    if not present:
        of = "labelled images" if set(wanted) == set(EMOTIONS) else f"images of {', '.join(wanted)}"
        raise ValueError(f"source {source!r} has no {of}: an evaluation needs real images with an emotion each")
    test = {part: rows.filter(pl.col("split") == "test") for part, rows in labelled.items()}
    held_out = sum(rows.height for rows in test.values()) >= minimum
    complete = {emotion for rows in test.values() for emotion in rows["label"].unique()} == present
    split, chosen = ("test", test) if held_out and complete and protocol == "corrected" else (None, labelled)
    digest = RowDigest()
    for rows in chosen.values():
        digest.add(rows.select("image_id", "label"))
    return ReferenceSelection(
        source=source,
        **decided,
        labels="source" if record is None or record.recipe.selection.classifier_id is None else "classifier",
        split=split,
        parts=tuple(sorted(part for part, rows in chosen.items() if rows.height)),
        emotions=tuple(emotion for emotion in EMOTIONS if emotion in present),
        images=sum(rows.height for rows in chosen.values()),
        rows=digest.hexdigest(),
    )


def reference_part(
    workspace: Workspace,
    selection: ReferenceSelection,
    part: str,
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    *,
    slot: Slot = nullcontext,
) -> PartOutcome:
    """Compute the features of one part of the real images; nothing is done where they exist."""
    started, chosen = time.perf_counter(), selection.read(workspace, part)

    def images() -> list[LabelledImage]:
        labels = dict(chosen.select("image_id", "label").iter_rows())
        pictures = workspace.table("images", selection.source).iter_pictures(part, set(labels))
        return [LabelledImage(image_id, parse_emotion(labels[image_id]), picture) for image_id, picture in pictures]

    place = _place(selection, part, chosen, recipe, extractors)
    return cached_features(workspace, place, images, recipe, extractors, part, started, slot)[0]


def load_reference(
    workspace: Workspace, selection: ReferenceSelection, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> ImageFeatures:
    """Features of all real images. Raises FileNotFoundError when a part has not been computed (`reference_part`)."""
    places = [_place(selection, part, selection.read(workspace, part), recipe, extractors) for part in selection.parts]
    return concatenate([ImageFeatures.from_bytes(workspace.read_file(*place)) for place in places])


def stored_reference(workspace: Workspace, selection: ReferenceSelection) -> StoredPictures:
    """The real images of a selection, counted through its parts."""
    chosen = {part: selection.read(workspace, part) for part in selection.parts}
    rows = [[(part, found.filter(label=emotion)["row"].to_numpy()) for part, found in chosen.items()] for emotion in EMOTIONS]
    return StoredPictures(workspace.table("images", selection.source), rows)


def _labelled_rows(
    workspace: Workspace, source: str, part: str, dataset: str | None = None, version: str | None = None, *, emotions: Collection[str]
) -> pl.DataFrame:
    """`row`, `image_id`, `label`, `split` of the images of a part that have a label, by their source or by the decisions of a version."""
    images = workspace.table("images", source).read_part(part, ["image_id", "label", "split", "artist"])
    rows = with_splits(images).drop("artist").with_row_index("row")
    if dataset is not None and version is not None:
        decided = workspace.table("decisions", dataset, version).read_part(part, ["image_id", "label", "reason"])
        wanted = decided.filter(~pl.col("reason").is_in(NOT_WANTED)).select("image_id", "label")
        rows = rows.drop("label").join(wanted, on="image_id", how="inner", maintain_order="left")
    return rows.filter(pl.col("label").is_in(sorted(emotions))).select("row", "image_id", "label", "split")


def _place(
    selection: ReferenceSelection, part: str, chosen: pl.DataFrame, recipe: EvaluationRecipe, extractors: ExtractorSet
) -> tuple[str, ...]:
    rows = rows_digest(chosen.select("image_id", "label"))[:12]
    return "evaluation", recipe.features_id(extractors), "real", selection.source, f"{part}-{rows}.safetensors"
