"""Re-filtering: other thresholds for a decided dataset are a query over what is stored. No model runs, no picture is read."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.curation.decisions import CurationOutcome, CurationRecipe, decide, read_record
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe, group_near_duplicates
from coemogen_core.storage.workspace import Workspace


class Thresholds(BaseModel):
    """What to change; none = as it was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_confidence: float | None = Field(default=None, ge=0.0, lt=1.0, description="a classifier's confidence must be greater than this")
    drop_fraction: float | None = Field(default=None, ge=0.0, lt=1.0, description="share of lowest similarity to drop within each emotion")
    near_duplicate_distance: float | None = Field(
        default=None, ge=0.0, le=0.5, description="cosine distance up to which pictures count as one; 0 = keep near-duplicates"
    )


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
