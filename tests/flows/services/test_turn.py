"""Who has to wait is told for whom, and does not wait for ever."""

import os
from pathlib import Path

import pytest

from flows.services.settings import ServiceError
from flows.services.turn import HOLDER, turn


def test_who_waits_in_vain_is_told_who_is_at_work(tmp_path: Path) -> None:
    said: list[str] = []
    with turn(tmp_path, "serve", said.append), pytest.raises(ServiceError) as refused, turn(tmp_path, "stop", said.append, wait_s=0.2):
        raise AssertionError("it did not wait")
    holder = f"`coemogen serve` (process {os.getpid()})"
    assert said == [f"{holder} is at work in {tmp_path}: waiting for it, 0 s at most"]
    assert str(refused.value) == f"{holder} is still at work in {tmp_path}: end it if it hangs, then run this again"
    with turn(tmp_path, "stop", said.append):
        assert len(said) == 1


@pytest.mark.parametrize("noted", ['{"command": "stop", "pid": 999999999}', '{"command": "st', "{}", "1"])
def test_who_was_killed_is_not_taken_for_the_one_at_work(tmp_path: Path, noted: str) -> None:
    said: list[str] = []
    with turn(tmp_path, "serve", said.append):
        (tmp_path / HOLDER).write_text(noted)
        with pytest.raises(ServiceError), turn(tmp_path, "stop", said.append, wait_s=0):
            raise AssertionError("it did not wait")
    assert said == [f"another command is at work in {tmp_path}: waiting for it, 0 s at most"]


def test_a_folder_on_a_full_disk_can_be_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(28, "no room")

    monkeypatch.setattr("flows.services.turn.write_atomically", write)
    with turn(tmp_path, "stop", print):
        assert not (tmp_path / HOLDER).exists()
