"""What a recaption run achieved: new captions beside the old ones, and which of them became current under the policy."""

from typing import Any

import dataframely as dy
import polars as pl
from pydantic import Field

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.audit.reviews import rejected_attempts
from coemogen_core.captioning.current_captions import CaptionedDataset, CaptionPolicy, current_captions
from coemogen_core.captioning.recaption.candidates import REASONS, Candidates, Found
from coemogen_core.storage.workspace import Workspace
from schemas.frozen_model import FrozenModel

ROOT = "recaption"
EXAMPLES = 5


class Choice(FrozenModel):
    """The pictures of a run. It stays open until the run has ended well, and whoever asks for the same meanwhile goes on with it."""

    run_id: str = Field(description="folder of the run")
    choice_id: str = Field(description="hash of what was asked for: version, recipe, reasons, budget")
    parts: tuple[str, ...] = Field(description="image parts that have candidates")


def open_run(workspace: Workspace, dataset: str, choice_id: str) -> str | None:
    """The run that chose by the same question and has not ended well, if there is one."""
    if not workspace.exists(ROOT, dataset, f"{choice_id}.open.json"):
        return None
    run_id = str(workspace.read_json(ROOT, dataset, f"{choice_id}.open.json")["run"])
    return run_id if was_chosen(workspace, dataset, run_id) else None


def end_run(workspace: Workspace, dataset: str, choice: Choice) -> None:
    """From now on the same question chooses anew."""
    workspace.remove_file(ROOT, dataset, f"{choice.choice_id}.open.json")


def write_choice(workspace: Workspace, dataset: str, run_id: str, choice_id: str, found: Found) -> None:
    """Keep the choice, one part an image part, so that whoever asks the same goes on with it."""
    table = workspace.table(ROOT, dataset, run_id, "candidates")
    for (part,), rows in found.candidates.group_by("part", maintain_order=True):
        table.write_part(str(part), rows, Candidates)
    counts = {"chosen": found.candidates.height, "exhausted": found.exhausted, "over_budget": found.over_budget}
    workspace.write_json(counts, ROOT, dataset, run_id, "chosen.json")
    workspace.write_json({"run": run_id}, ROOT, dataset, f"{choice_id}.open.json")


def candidate_parts(workspace: Workspace, dataset: str, run_id: str) -> list[str]:
    """Image parts that have candidates."""
    return workspace.table(ROOT, dataset, run_id, "candidates").parts()


def read_candidates(workspace: Workspace, dataset: str, run_id: str, part: str | None = None) -> pl.DataFrame:
    """Candidates of one image part, or of all; empty when there are none."""
    table = workspace.table(ROOT, dataset, run_id, "candidates")
    names = table.parts() if part is None else [part]
    return table.read(parts=names) if names else Candidates.create_empty()


def was_chosen(workspace: Workspace, dataset: str, run_id: str) -> bool:
    """Whether the choice of this run is complete."""
    return workspace.exists(ROOT, dataset, run_id, "chosen.json")


def chosen_counts(workspace: Workspace, dataset: str, run_id: str) -> dict[str, int]:
    """How many pictures were `chosen`, were left out because asking again is pointless (`exhausted`), or for the budget (`over_budget`)."""
    return dict(workspace.read_json(ROOT, dataset, run_id, "chosen.json"))


class Recaptioned(dy.Schema):
    """One candidate after the run."""

    image_id = dy.String(primary_key=True)
    emotion = dy.String(nullable=False)
    reason = dy.String(nullable=False)
    caption_before = dy.String(nullable=True)
    similarity_before = dy.Float32(nullable=True)
    asked = dy.Bool(nullable=False)
    new_caption = dy.String(nullable=True)
    new_similarity = dy.Float32(nullable=True)
    error = dy.String(nullable=True)
    became_current = dy.Bool(nullable=False)
    caption_after = dy.String(nullable=True)
    similarity_after = dy.Float32(nullable=True)


class ReasonCount(FrozenModel):
    """The candidates of one reason."""

    reason: str = Field(description="why they were chosen")
    chosen: int = Field(ge=0, description="pictures chosen")
    asked: int = Field(ge=0, description="of which asked, before the time ran out")
    captioned: int = Field(ge=0, description="of which got a new caption")
    became_current: int = Field(ge=0, description="of which the policy took the new caption")
    similarity_before: float | None = Field(description="mean similarity of the captions that pictures had and have, before")
    similarity_after: float | None = Field(description="the same pictures' mean, after")


def write_outcome(
    workspace: Workspace, record: CaptionedDataset, run_id: str, new_recipe_id: str, policy: CaptionPolicy, encoder_id: str
) -> list[ReasonCount]:
    """Compare every candidate before and after, and write `recaption/<dataset>/<run id>/outcome`, part by part.

    Raises:
        FileNotFoundError: the new captions have not been aligned.
    """
    dataset = record.dataset
    table = workspace.table(ROOT, dataset, run_id, "outcome")
    rejected = rejected_attempts(workspace)
    for part in candidate_parts(workspace, dataset, run_id):
        chosen = read_candidates(workspace, dataset, run_id, part)
        judged = record.judge(workspace, part)
        current = current_captions(workspace, record.source, part, policy, encoder_id, judged, rejected)
        new = _new_attempts(workspace, record.source, part, new_recipe_id, encoder_id, chosen)
        table.write_part(part, _compared(chosen, new, current, new_recipe_id), Recaptioned)
    return summarise(read_outcome(workspace, dataset, run_id))


def read_outcome(workspace: Workspace, dataset: str, run_id: str) -> pl.DataFrame:
    """Rows of all parts in the schema `Recaptioned`; empty when nothing was chosen."""
    table = workspace.table(ROOT, dataset, run_id, "outcome")
    return table.read() if table.parts() else Recaptioned.create_empty()


def summarise(outcome: pl.DataFrame) -> list[ReasonCount]:
    """Counts by reason, in the order of `REASONS`, reasons without pictures left out."""
    counts = []
    for reason in REASONS:
        rows = outcome.filter(reason=reason)
        if rows.is_empty():
            continue
        both = rows.filter(pl.col("similarity_before").is_not_null() & pl.col("similarity_after").is_not_null())
        means = both.select(before=pl.col("similarity_before").mean(), after=pl.col("similarity_after").mean()).row(0, named=True)
        counts.append(
            ReasonCount(
                reason=reason,
                chosen=rows.height,
                asked=int(rows["asked"].sum()),
                captioned=rows["new_caption"].count(),
                became_current=int(rows["became_current"].sum()),
                similarity_before=means["before"],
                similarity_after=means["after"],
            )
        )
    return counts


def examples(outcome: pl.DataFrame, count: int = EXAMPLES) -> list[dict[str, Any]]:
    """Pictures whose caption changed, those that gained most first."""
    changed = outcome.filter("became_current").with_columns(gain=pl.col("similarity_after") - pl.col("similarity_before").fill_null(0.0))
    columns = ["image_id", "emotion", "reason", "caption_before", "similarity_before", "caption_after", "similarity_after"]
    return changed.sort("gain", "image_id", descending=[True, False], nulls_last=True).select(columns).head(count).rows(named=True)


def _new_attempts(workspace: Workspace, source: str, part: str, recipe_id: str, encoder_id: str, chosen: pl.DataFrame) -> pl.DataFrame:
    """The latest attempt of the new recipe that was made after the choice, with its similarity."""
    columns = ["image_id", "attempt", "caption", "error"]
    attempts = read_attempts(workspace, source, part, recipe_id, columns).join(chosen.select("image_id", "after_attempt"), on="image_id")
    latest = attempts.filter(pl.col("attempt") > pl.col("after_attempt")).sort("attempt").unique("image_id", keep="last")
    alignment = workspace.table("alignment", source, encoder_id)
    chunks = [name for name in alignment.parts(within=part) if name.rsplit("/", 1)[-1].startswith(f"{recipe_id}.")]
    no_scores = pl.DataFrame(schema={"image_id": pl.String, "attempt": pl.Int32, "similarity": pl.Float32})
    scores = alignment.read(no_scores.columns, chunks) if chunks else no_scores
    return latest.join(scores, on=["image_id", "attempt"], how="left").select("image_id", "attempt", "caption", "error", "similarity")


def _compared(chosen: pl.DataFrame, new: pl.DataFrame, current: pl.DataFrame, new_recipe_id: str) -> pl.DataFrame:
    before = chosen.select("image_id", "emotion", "reason", caption_before="caption", similarity_before="similarity")
    made = new.select("image_id", "error", made="attempt", new_caption="caption", new_similarity="similarity")
    after = current.select("image_id", "recipe_id", "attempt", caption_after="caption", similarity_after="similarity")
    joined = before
    for more in (made, after):
        joined = joined.join(more, on="image_id", how="left", maintain_order="left")
    is_new = (pl.col("recipe_id") == new_recipe_id) & (pl.col("attempt") == pl.col("made")) & pl.col("new_caption").is_not_null()
    return joined.with_columns(asked=pl.col("made").is_not_null(), became_current=is_new.fill_null(False))
