"""Verdicts in the workspace: recorded once, superseded by later ones, and never about captions that nobody wrote."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coemogen_core.captioning.audit.page import write_audit
from coemogen_core.captioning.audit.reviews import AuditOutcome, import_file, import_verdicts, read_reviews, rejected_attempts
from coemogen_core.captioning.audit.verdicts import UnusableVerdicts, VerdictDocument, parse_verdicts
from coemogen_core.storage.workspace import Workspace
from schemas.tables import CaptionReviews
from tests.coemogen_core.captioning.audit.audited_source import (
    NASTY,
    PARTS,
    RECIPE,
    SOURCE,
    exported,
    verdict_rows,
    write_captions,
    write_source,
)

OTHER_AUDIT = "audit-ba9876543210"


@pytest.fixture
def captions(workspace: Workspace) -> pl.DataFrame:
    return write_source(workspace)


def take_in(workspace: Workspace, rows: list[dict[str, Any]], **changed: Any) -> AuditOutcome:
    return import_verdicts(workspace, SOURCE, parse_verdicts(exported(rows, **changed), "a file").document)


def test_verdicts_are_recorded_once(workspace: Workspace, captions: pl.DataFrame) -> None:
    rows = verdict_rows(captions)
    rows[3] |= {"verdict": "reject", "note": "the dog is a cat"}
    outcome = take_in(workspace, rows, reviewer="Ada")
    assert (outcome.recorded, outcome.reused, outcome.refused) == (32, False, ())
    assert outcome.rates.overall is not None
    assert (outcome.rates.overall.accepted, outcome.rates.overall.judged) == (31, 32)
    again = take_in(workspace, rows, reviewer="Ada")
    assert again == outcome.model_copy(update={"reused": True})
    assert workspace.table("caption_reviews", SOURCE).parts() == [outcome.part]
    reviews = read_reviews(workspace, SOURCE)
    CaptionReviews.validate(reviews)
    assert set(reviews["reviewer"]) == {"Ada"}
    assert reviews["note"].drop_nulls().to_list() == ["the dog is a cat"]
    key = rows[3]["image_id"], RECIPE, None
    assert rejected_attempts(workspace).rows() == [(*key, None, NASTY), (*key, rows[3]["emotion"], NASTY)]


def test_a_later_export_supersedes_whatever_the_order_of_import(workspace: Workspace, captions: pl.DataFrame) -> None:
    rows = verdict_rows(captions)[:4]
    later = [rows[1] | {"verdict": "reject"}, rows[2] | {"verdict": "reject"}]
    take_in(workspace, later, exported_at="2026-02-01T00:30:00+01:00")
    outcome = take_in(workspace, rows, exported_at="2026-01-31T23:29:59.999Z")
    assert outcome.rates.overall is not None
    assert (outcome.rates.overall.accepted, outcome.rates.overall.judged) == (2, 4)
    assert set(rejected_attempts(workspace)["image_id"]) == {rows[1]["image_id"], rows[2]["image_id"]}
    take_in(workspace, rows[:2], exported_at="2026-03-01T00:00:00Z", audit_id=OTHER_AUDIT)
    assert set(rejected_attempts(workspace)["image_id"]) == {rows[2]["image_id"]}
    assert set(read_reviews(workspace, SOURCE, "audit-0123456789ab").filter(verdict="reject")["image_id"]) == {
        rows[1]["image_id"],
        rows[2]["image_id"],
    }


ONE = {"image_id": "0" * 64, "recipe_id": RECIPE, "attempt": 1, "emotion": "awe"}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["accept", "reject"]), st.integers(0, 9)), min_size=1, max_size=8))
def test_the_latest_verdict_counts(tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, str, int]]) -> None:
    workspace = Workspace(str(tmp_path_factory.mktemp("workspace")))
    latest: dict[str, tuple[int, str]] = {}
    unique = {(picture, second): verdict for picture, verdict, second in history}
    frames = []
    for (picture, second), verdict in unique.items():
        image_id = f"{picture:064x}"
        frames.append(
            ONE | {"image_id": image_id, "verdict": verdict, "audit_id": OTHER_AUDIT, "exported_at": f"2026-01-01T00:00:0{second}.000Z"}
        )
        latest[image_id] = max(latest.get(image_id, (-1, "")), (second, verdict))
    for place, row in enumerate(frames):
        frame = pl.DataFrame([row | {"note": None, "reviewer": None}], schema=CaptionReviews.create_empty().schema)
        workspace.table("caption_reviews", SOURCE).write_part(f"{OTHER_AUDIT}.{place}", frame, CaptionReviews)
    assert dict(read_reviews(workspace, SOURCE).select("image_id", "verdict").iter_rows()) == {
        name: verdict for name, (_, verdict) in latest.items()
    }


def test_unknown_attempts_and_duplicates_are_listed_and_the_rest_is_recorded(workspace: Workspace, captions: pl.DataFrame) -> None:
    good = verdict_rows(captions)[:6]
    write_captions(workspace, PARTS[0], [good[5]["image_id"]], attempt=2, failed=[good[5]["image_id"]])
    rows = [
        *good[:3],
        good[0],
        good[1] | {"verdict": "reject"},
        good[3] | {"attempt": 7},
        good[4] | {"image_id": "f" * 64},
        good[4] | {"recipe_id": "caption-other"},
        good[5] | {"attempt": 2},
    ]
    outcome = take_in(workspace, rows)
    assert outcome.recorded == 2
    assert set(read_reviews(workspace, SOURCE)["image_id"]) == {good[0]["image_id"], good[2]["image_id"]}
    reasons = [refused.reason for refused in outcome.refused]
    assert [reason.split(";")[0].split(":")[0] for reason in reasons[:2]] == ["duplicate", "2 rows contradict each other"]
    assert ["no such attempt" in reason for reason in reasons[2:]] == [True, True, True, False]
    assert "this attempt failed" in reasons[5]
    assert f"attempt 7 of {RECIPE} on picture {good[3]['image_id'][:12]}" == outcome.refused[2].row


def test_rows_that_become_known_are_recorded_by_importing_the_file_again(workspace: Workspace, captions: pl.DataFrame) -> None:
    rows = [row | {"attempt": attempt} for row in verdict_rows(captions)[:2] for attempt in (1, 2)]
    assert take_in(workspace, rows).recorded == 2
    write_captions(workspace, PARTS[0], [row["image_id"] for row in rows[::2]], attempt=2)
    outcome = take_in(workspace, rows)
    assert (outcome.recorded, outcome.reused, outcome.refused) == (4, False, ())
    assert read_reviews(workspace, SOURCE).height == 4


def test_a_file_without_a_usable_row_changes_nothing(workspace: Workspace, captions: pl.DataFrame) -> None:
    outcome = take_in(workspace, [row | {"attempt": 9} for row in verdict_rows(captions)[:2]])
    assert (outcome.part, outcome.recorded, len(outcome.refused), outcome.rates.overall) == (None, 0, 2, None)
    assert not workspace.exists("caption_reviews", SOURCE)
    assert take_in(workspace, []).part is None
    assert read_reviews(workspace, SOURCE).is_empty()
    assert rejected_attempts(workspace).columns == ["image_id", "recipe_id", "attempt", "emotion_prior", "caption"]


def test_only_cards_of_the_page_are_judged_where_the_page_is_known(workspace: Workspace, captions: pl.DataFrame) -> None:
    page = write_audit(workspace, SOURCE, captions, per_emotion=2)
    shown = {card["image_id"] for card in workspace.read_json("audits", SOURCE, page.audit_id, "sample.json")["captions"]}
    rows = verdict_rows(captions)
    on_page = next(row for row in rows if row["image_id"] in shown)
    off_page = next(row for row in rows if row["image_id"] not in shown)
    other = next(row for row in rows if row["image_id"] in shown and row["image_id"] != on_page["image_id"] and row["emotion"] != "awe")
    outcome = take_in(workspace, [on_page, off_page, other | {"emotion": "awe"}], audit_id=page.audit_id)
    assert outcome.recorded == 1
    assert "did not show this caption" in outcome.refused[0].reason
    assert f"showed it for {other['emotion']}, not awe" in outcome.refused[1].reason


def test_chunks_are_opened_until_the_last_attempt_is_found(
    workspace: Workspace, captions: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_audit(workspace, SOURCE, captions.filter(part=PARTS[1]), per_emotion=1)
    shown = workspace.read_json("audits", SOURCE, page.audit_id, "sample.json")["captions"]
    rows = [{key: card[key] for key in ("image_id", "recipe_id", "attempt", "emotion")} | {"verdict": "accept"} for card in shown]
    document = parse_verdicts(exported(rows, audit_id=page.audit_id), "a file").document
    looked_into = []
    monkeypatch.setattr(
        "coemogen_core.captioning.audit.reviews.chunk_names",
        lambda workspace, source, part, recipe: looked_into.append(part) or [f"{part}/{recipe}.000"],
    )
    assert import_verdicts(workspace, SOURCE, document).recorded == 8
    assert looked_into == [PARTS[1]]


def test_another_source_and_another_workspace_are_refused(workspace: Workspace, captions: pl.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    file.write_bytes(exported(verdict_rows(captions)[:3]))
    with pytest.raises(UnusableVerdicts, match=r"verdicts\.json: source is 'photos', but 'paintings' was asked for; import it as 'photos'"):
        import_file(workspace, str(file), "paintings")
    with pytest.raises(FileNotFoundError, match="no captions of source 'photos'"):
        import_file(Workspace(str(tmp_path / "elsewhere")), str(file))
    rows = json.loads(file.read_bytes())
    rows["verdicts"][1]["verdict"] = "perhaps"
    file.write_text(json.dumps(rows))
    outcome = import_file(workspace, str(file))
    assert (outcome.recorded, outcome.refused[0].row) == (2, "verdicts[1]")


def test_a_document_may_be_built_in_code(workspace: Workspace, captions: pl.DataFrame) -> None:
    document = VerdictDocument.model_validate_json(exported(verdict_rows(captions)))
    assert import_verdicts(workspace, SOURCE, document).recorded == 32


def test_a_verdict_counts_for_the_caption_that_answers_to_its_emotion(workspace: Workspace, captions: pl.DataFrame) -> None:
    """Two sources that were captioned at once may hold other captions under one number, each for its own emotion."""
    row = verdict_rows(captions)[0]
    take_in(workspace, [row | {"emotion": "awe", "verdict": "reject"}], exported_at="2026-01-01T00:00:00Z")
    take_in(workspace, [row | {"emotion": "fear"}], exported_at="2026-01-02T00:00:00Z")
    assert rejected_attempts(workspace).rows() == [
        (row["image_id"], RECIPE, None, "awe", NASTY)
    ]  # and not one without a prior: the last word
    take_in(workspace, [row | {"emotion": "fear", "verdict": "reject"}], exported_at="2026-01-03T00:00:00Z")
    assert rejected_attempts(workspace)["emotion_prior"].to_list() == [None, "awe", "fear"]


def test_a_part_from_before_tells_no_text_and_gives_way_to_one_that_does(workspace: Workspace, captions: pl.DataFrame) -> None:
    row = verdict_rows(captions)[0] | {"verdict": "reject"}
    part = take_in(workspace, [row]).part
    assert part is not None
    reviews = workspace.table("caption_reviews", SOURCE)
    rows = reviews.read_part(part).drop("caption")
    reviews.remove_part(part)
    rows.write_parquet(f"{reviews.uri}/{part}.parquet")
    emotions = None, row["emotion"]
    assert rejected_attempts(workspace).rows() == [(row["image_id"], RECIPE, 1, emotion, None) for emotion in emotions]
    assert read_reviews(workspace, SOURCE)["caption"].to_list() == [None]
    assert take_in(workspace, [row]).reused
    take_in(workspace, [row | {"verdict": "accept"}], exported_at="2026-02-01T00:00:00Z")
    assert rejected_attempts(workspace).is_empty()
