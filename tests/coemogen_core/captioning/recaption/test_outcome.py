"""What a run achieved: counted by reason, compared picture by picture."""

import polars as pl
import pytest

from coemogen_core.captioning.current_captions import CaptionPolicy
from coemogen_core.captioning.recaption import outcome as outcomes
from coemogen_core.captioning.recaption.candidates import Found, RecaptionReasons, find_candidates
from coemogen_core.captioning.recaption.outcome import ReasonCount, Recaptioned, examples, read_outcome, summarise, write_outcome
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import DecisionsRecord, read_record
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Alignment
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, RECIPE, SOURCE, build_art
from tests.coemogen_core.curation.small_tables import caption_row, write_captions

NEW, RUN = "caption-ffffffffffff", "recaption-0"
BEST = CaptionPolicy(choose="best_alignment")


@pytest.fixture
def record(workspace: Workspace) -> DecisionsRecord:
    build_art(workspace)
    return read_record(workspace, "emoart", decide(workspace, SOURCE, PARTS, RECIPE).version)


@pytest.fixture
def chosen(workspace: Workspace, record: DecisionsRecord) -> pl.DataFrame:
    """The kept candidates: the picture whose caption failed, and the weakest half."""
    reasons = RecaptionReasons(lowest_alignment=0.5)
    found = find_candidates(workspace, record, CaptionRecipe(model="m"), NEW, reasons, max_tries=2, max_images=None)
    outcomes.write_choice(workspace, "emoart", RUN, "choice-1", found)
    return found.candidates


def answer(workspace: Workspace, part: str, sequence: int, rows: list[dict], similarities: list[float]) -> None:
    """New captions of a part, and how like their pictures they are."""
    chunk = write_captions(workspace, SOURCE, part, sequence, rows, recipe=NEW)
    scored = [(row["image_id"], NEW, row["attempt"], value, 9, 0) for row, value in zip(rows, similarities, strict=True) if row["caption"]]
    frame = pl.DataFrame(scored, schema=Alignment.create_empty().schema, orient="row")
    workspace.table("alignment", SOURCE, ENCODER).write_part(chunk, frame, Alignment)


def answer_all(workspace: Workspace, chosen: pl.DataFrame, similarity: float) -> None:
    for (part,), rows in chosen.group_by("part", maintain_order=True):
        new = [
            caption_row(row["image_id"], f"new {row['emotion']}", recipe=NEW, prior=row["emotion"]) for row in rows.iter_rows(named=True)
        ]
        answer(workspace, str(part), 0, new, [similarity] * len(new))


def outcome_of(workspace: Workspace, record: DecisionsRecord, policy: CaptionPolicy) -> list[ReasonCount]:
    return write_outcome(workspace, record, RUN, NEW, policy, ENCODER)


def test_a_better_caption_becomes_current_and_a_worse_one_does_not(
    workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame
) -> None:
    middle = float(chosen["similarity"].drop_nulls().median()) + 0.001
    answer_all(workspace, chosen, middle)
    counts = {each.reason: each for each in outcome_of(workspace, record, BEST)}
    rows = read_outcome(workspace, "emoart", RUN)
    Recaptioned.validate(rows)
    assert set(rows["image_id"]) == set(chosen["image_id"])
    became = rows.filter("became_current")
    assert (
        became["image_id"]
        .sort()
        .equals(rows.filter(pl.col("similarity_before").is_null() | (pl.col("similarity_before") < middle))["image_id"].sort())
    )
    assert 0 < became.height < rows.height
    assert (became["caption_after"] == became["new_caption"]).all()
    stayed = rows.filter(~pl.col("became_current"))
    assert (stayed["caption_after"] == stayed["caption_before"]).all()
    weak = counts["low alignment"]
    assert (weak.chosen, weak.asked, weak.captioned) == (chosen.filter(reason="low alignment").height,) * 3
    assert weak.similarity_after > weak.similarity_before
    failed = counts["failed"]
    assert (failed.chosen, failed.captioned, failed.became_current) == (1, 1, 1)
    assert failed.similarity_before is failed.similarity_after is None  # there is nothing to compare with


def test_a_pinned_policy_takes_a_worse_caption_too(workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame) -> None:
    answer_all(workspace, chosen, 0.0)
    counts = outcome_of(workspace, record, CaptionPolicy.pinned(NEW))
    assert sum(each.became_current for each in counts) == sum(each.captioned for each in counts) == chosen.height


def test_who_was_not_asked_and_who_got_no_caption_are_told_apart(
    workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame
) -> None:
    refused = chosen.filter(reason="low alignment").row(0, named=True)
    row = caption_row(refused["image_id"], None, recipe=NEW, prior=refused["emotion"])
    answer(workspace, refused["part"], 0, [row], [0.0])
    (weak,) = [each for each in outcome_of(workspace, record, BEST) if each.reason == "low alignment"]
    assert (weak.asked, weak.captioned, weak.became_current) == (1, 0, 0)
    rows = read_outcome(workspace, "emoart", RUN)
    assert rows.filter("asked").select("image_id", "error", "new_caption").rows() == [(refused["image_id"], "refused", None)]
    assert rows.filter(~pl.col("asked"))["error"].null_count() == rows.height - 1
    assert weak.similarity_before == pytest.approx(weak.similarity_after)


def test_only_attempts_made_after_the_choice_count(workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame) -> None:
    """The recipe was asked before; that answer is none of this run's."""
    first = chosen.filter(reason="low alignment").row(0, named=True)
    later = chosen.with_columns(after_attempt=pl.lit(1, pl.Int32))
    outcomes.write_choice(workspace, "emoart", RUN, "choice-1", Found(later, exhausted=0, over_budget=0))
    for attempt, similarity in ((1, 0.9), (2, 0.95)):
        row = caption_row(first["image_id"], f"attempt {attempt}", attempt=attempt, recipe=NEW, prior=first["emotion"])
        answer(workspace, first["part"], attempt, [row], [similarity])
        outcome_of(workspace, record, BEST)
        (found,) = read_outcome(workspace, "emoart", RUN).filter(image_id=first["image_id"]).rows(named=True)
        assert found["asked"] == found["became_current"] == (attempt == 2)
    assert found["new_caption"] == found["caption_after"] == "attempt 2"


def test_without_candidates_there_is_nothing_to_tell(workspace: Workspace, record: DecisionsRecord) -> None:
    assert outcome_of(workspace, record, BEST) == []
    rows = read_outcome(workspace, "emoart", RUN)
    assert rows.is_empty()
    Recaptioned.validate(rows)
    assert summarise(rows) == examples(rows) == []


def test_examples_are_those_that_gained_most(workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame) -> None:
    answer_all(workspace, chosen, 0.5)
    outcome_of(workspace, record, BEST)
    rows = read_outcome(workspace, "emoart", RUN)
    shown = examples(rows, count=3)
    gains = [row["similarity_after"] - (row["similarity_before"] or 0.0) for row in shown]
    assert len(shown) == 3
    assert gains == sorted(gains, reverse=True)
    assert gains[0] == max(rows["similarity_after"] - rows["similarity_before"].fill_null(0.0))
    assert all(row["caption_after"].startswith("new ") for row in shown)
    assert len(examples(rows, count=100)) == int(rows["became_current"].sum())


def test_a_choice_is_kept_with_its_counts(workspace: Workspace, record: DecisionsRecord) -> None:
    assert not outcomes.was_chosen(workspace, "emoart", RUN)
    assert outcomes.read_candidates(workspace, "emoart", RUN).is_empty()
    found = find_candidates(
        workspace, record, CaptionRecipe(model="m"), NEW, RecaptionReasons(lowest_alignment=0.5), max_tries=2, max_images=2
    )
    outcomes.write_choice(workspace, "emoart", RUN, "choice-1", found)
    assert outcomes.was_chosen(workspace, "emoart", RUN)
    counts = outcomes.chosen_counts(workspace, "emoart", RUN)
    assert counts == {"chosen": 2, "exhausted": found.exhausted, "over_budget": found.over_budget}
    kept = outcomes.read_candidates(workspace, "emoart", RUN)
    assert kept.sort("image_id").equals(found.candidates.sort("image_id"))
    assert outcomes.candidate_parts(workspace, "emoart", RUN) == sorted(set(found.candidates["part"]))


def test_a_choice_stays_open_until_its_run_has_ended_well(workspace: Workspace, record: DecisionsRecord, chosen: pl.DataFrame) -> None:
    assert outcomes.open_run(workspace, "emoart", "choice-1") == RUN
    assert outcomes.open_run(workspace, "emoart", "choice-2") is None
    outcomes.end_run(workspace, "emoart", outcomes.Choice(run_id=RUN, choice_id="choice-1", parts=()))
    assert outcomes.open_run(workspace, "emoart", "choice-1") is None
