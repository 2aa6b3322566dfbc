"""The list of started processes: exactly those end, whatever else runs under their ids by then."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.services.processes import FILE, ProcessList, StartedProcess, end_with_children

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
PARENT = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(300)'])"]
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
STUBBORN = [sys.executable, "-c", f"import signal, time; {IGNORE}; print(1, flush=True); time.sleep(300)"]


def test_what_was_started_runs_once_and_ends_with_its_children(tmp_path: Path) -> None:
    processes = ProcessList(tmp_path)
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


def test_the_last_one_that_was_started_ends_first(tmp_path: Path) -> None:
    processes = ProcessList(tmp_path)
    for name in ("server", "worker"):
        processes.start(name, SLEEP, os.environ)
    assert processes.stop_all() == ["worker", "server"]


def test_a_process_that_has_the_id_of_a_dead_one_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(SLEEP)
    try:
        started = psutil.Process(other.pid).create_time()
        assert StartedProcess(name="worker", pid=other.pid, started=started).find() is not None
        stale = StartedProcess(name="worker", pid=other.pid, started=started - 3600)
        assert stale.find() is None
        (tmp_path / FILE).write_text(f"[{stale.model_dump_json()}]")
        assert ProcessList(tmp_path).stop_all() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_what_does_not_heed_sigterm_is_killed_after_the_grace_period() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"1\n"
    end_with_children(psutil.Process(process.pid), grace_s=0.2)
    process.wait(60)  # its code may have gone to psutil, which waited for it first
    assert not psutil.pid_exists(process.pid)
    process.stdout.close()


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[{]")
    with pytest.raises(ValueError, match=r"processes\.json cannot be read: end the processes it names by hand"):
        ProcessList(tmp_path).read()
