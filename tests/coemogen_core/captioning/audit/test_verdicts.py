"""The exported file: what is good survives a round trip, and what is not is named."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coemogen_core.captioning.audit.verdicts import UnusableVerdicts, Verdict, VerdictDocument, parse_verdicts, read_verdicts
from schemas.choices import EMOTION_NAMES
from tests.coemogen_core.captioning.audit.audited_source import auditable, exported, verdict_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
VERDICTS = st.builds(
    Verdict,
    image_id=HEX,
    recipe_id=st.just("caption-0123456789ab"),
    attempt=st.integers(1, 9),
    emotion=st.sampled_from(EMOTION_NAMES),
    verdict=st.sampled_from(["accept", "reject"]),
    note=st.none() | TEXT,
)
ROWS = verdict_rows(auditable([f"{number:064x}" for number in range(3)]))


@given(st.lists(VERDICTS, max_size=5), st.none() | TEXT, MOMENTS)
def test_a_document_survives_a_round_trip(verdicts: list[Verdict], reviewer: str | None, moment: datetime) -> None:
    document = VerdictDocument(
        audit_id="audit-0123456789ab", source="photos", exported_at=moment.isoformat(), reviewer=reviewer, verdicts=tuple(verdicts)
    )
    file = parse_verdicts(document.model_dump_json().encode(), "a file")
    assert (file.document, file.refused) == (document, ())
    assert parse_verdicts(document.model_dump_json(exclude_none=True).encode("utf-16"), "a file").document == document


@given(MOMENTS, MOMENTS, st.integers(-720, 720))
def test_times_sort_as_text(first: datetime, second: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    texts = [
        VerdictDocument(audit_id="audit-0123456789ab", source="s", exported_at=moment.isoformat(), verdicts=()).exported_at
        for moment in (first, second, first.astimezone(zone))
    ]
    first_ms, second_ms = (moment.replace(microsecond=moment.microsecond // 1000 * 1000) for moment in (first, second))
    assert texts[0] == texts[2]
    assert (texts[0] < texts[1]) == (first_ms < second_ms)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "a JSON list, not an object"),
        (b"{}", "its format is None, not 'coemogen-caption-verdicts/1'"),
        (exported(ROWS, format="coemogen-caption-verdicts/2"), "its format is 'coemogen-caption-verdicts/2'"),
        (exported(ROWS, mood="good"), "mood: Extra inputs are not permitted"),
        (exported(ROWS, audit_id="../../audit"), "audit_id: String should match"),
        (exported(ROWS, source="../photos"), "source: String should match"),
        (exported(ROWS, exported_at="yesterday"), "exported_at: Value error"),
        (exported(ROWS, exported_at="2026-01-01T00:00:00"), "end it with Z for UTC"),
        (exported(ROWS, verdicts={}), "verdicts: Input should be a valid tuple"),
        (exported(ROWS, verdicts=None), "verdicts: Input should be a valid tuple"),
    ],
)
def test_a_file_of_another_kind_is_refused_whole(data: bytes, message: str) -> None:
    with pytest.raises(UnusableVerdicts, match=r"the-file\.json") as caught:
        parse_verdicts(data, "the-file.json")
    assert message in str(caught.value)
    assert "export the verdicts again" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "maybe"}, "verdict: Input should be 'accept' or 'reject' (given: 'maybe')"),
        ({"emotion": "boredom"}, "emotion"),
        ({"image_id": "ABC"}, "image_id"),
        ({"attempt": "1"}, "attempt: write a number (given: '1')"),
        ({"attempt": True}, "attempt"),
        ({"attempt": 2**31}, "attempt"),
        ({"recipe_id": "../x"}, "recipe_id"),
        ({"mood": "good"}, "mood: Extra inputs"),
        ({"note": "\ud800"}, "note"),
        ({"note": "x" * 2001}, "note"),
    ],
)
def test_a_bad_row_is_listed_and_the_others_count(change: dict[str, Any], message: str) -> None:
    file = parse_verdicts(exported([ROWS[0], ROWS[1] | change, ROWS[2]]), "a file")
    assert [verdict.image_id for verdict in file.document.verdicts] == [ROWS[0]["image_id"], ROWS[2]["image_id"]]
    assert [refused.row for refused in file.refused] == ["verdicts[1]"]
    assert message in file.refused[0].reason


def test_rows_of_any_shape_are_only_listed() -> None:
    file = parse_verdicts(exported([*ROWS, None, 3, "row", [], {}]), "a file")  # type: ignore[list-item]
    assert len(file.document.verdicts) == 3
    assert [refused.row for refused in file.refused] == [f"verdicts[{place}]" for place in range(3, 8)]


def test_documents_cannot_be_changed() -> None:
    document = parse_verdicts(exported(ROWS), "a file").document
    with pytest.raises(ValidationError):
        document.source = "other"  # type: ignore[misc]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.json does not exist: give the file that the audit page exported"):
        read_verdicts(str(tmp_path / "absent.json"))
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf" + exported(ROWS))
    assert json.loads(exported(ROWS))["verdicts"] == [
        row.model_dump(exclude_none=True) for row in read_verdicts(str(tmp_path / "bom.json")).document.verdicts
    ]
