"""The list of started processes: exactly those end, whatever else runs under their ids by then."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from coemogen_core.storage.whole_file import NoRoomError
from flows.services.gate import behind_gate
from flows.services.processes import FILE, LockedProcessList, ProcessList, StartedProcess, end_family

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
PARENT = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(300)'])"]
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
STUBBORN = [sys.executable, "-c", f"import signal, time; {IGNORE}; print(1, flush=True); time.sleep(300)"]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[LockedProcessList]:
    with ProcessList(tmp_path).changing("test", print) as held:
        yield held


def entry_of(process: "subprocess.Popen[bytes]") -> StartedProcess:
    return StartedProcess(name="worker", pid=process.pid, started=psutil.Process(process.pid).create_time())


def test_what_was_started_runs_once_and_ends_with_its_children(processes: LockedProcessList) -> None:
    entry = processes.start("worker", PARENT, os.environ)
    assert processes.start("worker", PARENT, os.environ) == entry
    parent = psutil.Process(entry.pid)
    while not parent.children():
        time.sleep(0.01)
    (child,) = parent.children()
    assert processes.stop_all() == ["worker"]
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert entry.find() is None
    assert processes.read() == []
    assert processes.stop_all() == []


def test_the_last_one_that_was_started_ends_first(processes: LockedProcessList) -> None:
    for name in ("server", "worker"):
        processes.start(name, SLEEP, os.environ)
    assert processes.stop_all() == ["worker", "server"]


def test_a_process_that_has_the_id_of_a_dead_one_is_left_alone(tmp_path: Path, processes: LockedProcessList) -> None:
    other = subprocess.Popen(SLEEP)
    try:
        entry = entry_of(other)
        assert entry.find() is not None
        stale = entry.model_copy(update={"started": entry.started - 3600})
        assert stale.find() is None
        (tmp_path / FILE).write_text(f"[{stale.model_dump_json()}]")
        assert processes.stop_all() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_what_does_not_heed_sigterm_is_killed_after_the_grace_period() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    assert end_family(entry_of(process), grace_s=0.2)
    process.wait(60)
    assert not psutil.pid_exists(process.pid)
    process.stdout.close()


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[{]")
    with pytest.raises(ValueError, match=r"processes\.json cannot be read: end the processes it names by hand"):
        ProcessList(tmp_path).read()


def test_services_on_a_full_disk_can_be_stopped(processes: LockedProcessList, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise NoRoomError(28, "no room")

    for name in ("server", "worker"):
        processes.start(name, SLEEP, os.environ)
    monkeypatch.setattr("flows.services.processes.write_atomically", write)
    assert processes.stop_all() == ["worker", "server"]
    assert processes.read() == []


def test_a_process_that_was_noted_by_a_killed_command_and_has_not_begun_is_not_taken_for_the_service(tmp_path: Path) -> None:
    with behind_gate(SLEEP, tmp_path / "log", os.environ) as pid:
        noted = StartedProcess(name="worker", pid=pid, started=psutil.Process(pid).create_time())
        (tmp_path / FILE).write_text(f"[{noted.model_dump_json()}]")
        with ProcessList(tmp_path).changing("test", print) as processes:
            assert noted.find() is None
            assert processes.start("worker", SLEEP, os.environ) != noted
            assert processes.stop_all() == ["worker"]
