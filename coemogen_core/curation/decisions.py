"""The versions of a curated dataset: one row for every candidate picture, kept, or dropped with the reason.

`decisions/<dataset>/<version>/` mirrors the image parts; `<version>.recipe.json` beside it says what decided (`curation.decide`).
"""

from contextlib import suppress

import polars as pl
from pydantic import Field

from coemogen_core.captioning.alignment_filter import LOW_ALIGNMENT
from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.curation.near_duplicates import NEAR_DUPLICATE, NearDuplicateRecipe
from coemogen_core.curation.selection import LOW_CONFIDENCE, NO_LABEL, NOT_COLLECTED, NOT_SCORED, Selection
from coemogen_core.recipe import Recipe
from coemogen_core.storage.names import DatasetName
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

CURRENT = "current"  # the name of the version that was last marked so
RECIPE = "recipe.json"
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
    NEAR_DUPLICATE,
)
"""Every reason to drop a picture, in the order in which they are asked."""
NOT_WANTED = (DUPLICATE, NO_LABEL, NOT_SCORED, LOW_CONFIDENCE, NOT_COLLECTED)
"""Reasons that lie in the picture itself, not in its caption."""


class CurationRecipe(Recipe):
    """What makes a curated dataset out of stored labels, scores, captions and similarities."""

    dataset: DatasetName = Field(description="name of the dataset, e.g. emoset or emoart")
    selection: Selection = Field(description="which pictures are wanted, and for which emotion")
    captions: CaptionPolicy = Field(description="which of a picture's captions is the current one")
    encoder_id: str = Field(min_length=1, description="encoder of the similarities")
    drop_fraction: float = Field(default=0.2, ge=0.0, lt=1.0, description="share of lowest similarity to drop within each emotion")
    near_duplicates: NearDuplicateRecipe | None = Field(
        default=None,
        description="keep only the largest of near-duplicate pictures, by the distance of their embeddings; none = keep all of them",
    )


class DecisionsRecord(FrozenModel):
    """`decisions/<dataset>/<version>.recipe.json`: where a version of the decisions comes from."""

    version: str = Field(description="recipe id of source, parts, captions and recipe")
    source: str = Field(description="source of the pictures")
    parts: tuple[str, ...] = Field(description="image parts")
    captions: str = Field(description="SHA-256 over the current captions of the wanted pictures")
    recipe: CurationRecipe = Field(description="thresholds and upstream recipes")
    groups: str | None = Field(
        default=None, description="recipe id of the groups of near-duplicates; none = they were kept, or the record is of an earlier form"
    )

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


def read_decisions(workspace: Workspace, dataset: str, version: str) -> pl.DataFrame:
    """All decisions of a version. Raises FileNotFoundError when there are none."""
    return workspace.table("decisions", dataset, version).read()


def read_record(workspace: Workspace, dataset: str, version: str) -> DecisionsRecord:
    """Where a version of the decisions comes from. Raises FileNotFoundError when there is no such version."""
    place = beside_decisions(dataset, version, RECIPE)
    if not workspace.exists(*place):
        raise FileNotFoundError(f"no decisions {version} in {workspace.path('decisions', dataset)}: curate the dataset first")
    return DecisionsRecord.model_validate(workspace.read_json(*place))


def write_record(workspace: Workspace, record: DecisionsRecord) -> None:
    """Write where a version comes from, anew each time that a run decides it or starts from it.

    So its time says when the version was last used, and `upkeep` leaves alone what a run uses now.
    """
    workspace.write_json(record.model_dump(mode="json"), *beside_decisions(record.dataset, record.version, RECIPE))


def use_version(workspace: Workspace, dataset: str, version: str) -> DecisionsRecord:
    """Where a version comes from, for a run that starts from it: see `write_record`. Raises FileNotFoundError like `read_record`."""
    record = read_record(workspace, dataset, version)
    write_record(workspace, record)
    return record


def beside_decisions(dataset: str, version: str, name: str) -> tuple[str, str, str]:
    """Where a file about a version lies: beside the folder of its parts, which pyarrow and pandas open only where nothing else is in it."""
    return ("decisions", dataset, f"{version}.{name}")


def parts_in_use(workspace: Workspace, source: str) -> set[str]:
    """Image parts of a source that the current version of any dataset names."""
    parts: set[str] = set()
    for dataset in workspace.list_folders("decisions"):
        with suppress(FileNotFoundError):
            record = read_record(workspace, dataset, resolve_version(workspace, dataset))
            parts |= set(record.parts) if record.source == source else set()
    return parts


def mark_current(workspace: Workspace, dataset: str, version: str) -> None:
    """Make a version the one that later stages take when none is named: `decisions/<dataset>/current.json`.

    Raises:
        FileNotFoundError: there is no such version.
    """
    read_record(workspace, dataset, version)
    workspace.write_json({"version": version}, "decisions", dataset, "current.json")


def resolve_version(workspace: Workspace, dataset: str, version: str = CURRENT) -> str:
    """The version itself, or for "current" the one that was last marked so.

    Raises:
        FileNotFoundError: the dataset was never curated here.
    """
    if version != CURRENT:
        return version
    if not workspace.exists("decisions", dataset, "current.json"):
        raise FileNotFoundError(f"no curated dataset {dataset!r} in {workspace.uri}: run the flow that builds it first")
    return str(workspace.read_json("decisions", dataset, "current.json")["version"])
