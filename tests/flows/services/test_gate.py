"""A process begins when the block around it ends well, and never otherwise."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from flows.services.gate import behind_gate, is_behind_gate
from tests.flows.services.stand_ins import until

SAY_AND_STAY = [sys.executable, "-c", "import sys, time; print('out', sys.argv[1:], flush=True); time.sleep(600)", "two words", "*"]


def test_the_process_keeps_its_id_and_writes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with behind_gate(SAY_AND_STAY, log, os.environ) as pid:
        process = psutil.Process(pid)
        assert is_behind_gate(process)
    assert not is_behind_gate(process)
    until(lambda: log.read_text() == "before\nout ['two words', '*']\n")
    assert process.cmdline() == SAY_AND_STAY
    assert os.getsid(pid) != os.getsid(os.getpid())
    assert process.ppid() != os.getpid()
    process.kill()


def test_it_never_begins_when_the_block_fails(tmp_path: Path) -> None:
    def fail() -> int:
        with behind_gate(SAY_AND_STAY, tmp_path / "log", os.environ) as pid:
            started.append(psutil.Process(pid))
            raise ZeroDivisionError

    started: list[psutil.Process] = []
    with pytest.raises(ZeroDivisionError):
        fail()
    until(lambda: not started[0].is_running() or started[0].status() == psutil.STATUS_ZOMBIE)
    assert (tmp_path / "log").read_text() == ""


def test_a_system_without_room_for_a_process_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.services.gate.GATE", "exit 2")
    with (
        pytest.raises(ChildProcessError, match=r"a-program cannot be started: .*log says why"),
        behind_gate(["a-program"], tmp_path / "log", os.environ),
    ):
        raise AssertionError("it began")
