from pathlib import Path

import pytest

from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.journal import Journal, journal_path

ANSWERS = [CaptionAnswer("a", text="A dog.\nÄ", completion_tokens=4, asked_at=1.5), CaptionAnswer("b", error="timeout: 5 s", asked_at=2.5)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    written = Journal(tmp_path / "part" / ".recipe.journal")
    for attempt, answer in enumerate(ANSWERS, 1):
        written.append([(answer, "awe", attempt)])
    return written


def test_what_was_written_is_read_by_another_process_without_closing(journal, tmp_path):
    assert Journal(tmp_path / "part" / ".recipe.journal").read() == {("a", "awe", 1): ANSWERS[0], ("b", "awe", 2): ANSWERS[1]}


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_torn_last_line_costs_that_answer_alone_and_none_that_follows(journal, tmp_path, kept):
    file = tmp_path / "part" / ".recipe.journal"
    last = file.read_bytes().rindex(b"\n")
    file.write_bytes(file.read_bytes()[: last + kept])
    later = Journal(file)
    later.append([(ANSWERS[1], None, 3)])
    assert later.read() == {("a", "awe", 1): ANSWERS[0], ("b", None, 3): ANSWERS[1]}


def test_it_is_gone_when_the_part_is_done(journal, tmp_path):
    journal.remove()
    assert Journal(tmp_path / "part" / ".recipe.journal").read() == {}


def test_it_lies_beside_the_chunks_or_for_a_bucket_in_the_users_state(tmp_path, monkeypatch):
    assert journal_path(str(tmp_path / "captions"), "part-0", "caption-1") == tmp_path / "captions" / "part-0" / ".caption-1.journal"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remote = journal_path("memory://bucket/captions", "part-0", "caption-1")
    assert remote.is_relative_to(tmp_path / "state" / "coemogen")
    assert remote != journal_path("memory://other/captions", "part-0", "caption-1")
