"""The keeper as the program that it is, over small commands of the shell."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from coemogen_core import process_keeper

KEEPER = process_keeper.__file__
DEADLINE_S = 120  # of what takes a second on a quiet machine
IGNORES_SIGTERM = "trap '' TERM; echo ready >&2; sleep 600"
OBEYS_SIGTERM = "trap 'exit 3' TERM; sleep 600 & echo ready >&2; wait"  # a trap interrupts `wait` at once, a command it lets end
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel finds what left the group")


def keep(*command: str, grace_s: float = 0.3) -> subprocess.Popen[str]:
    """A keeper whose parent is this process."""
    line = [sys.executable, KEEPER, str(os.getpid()), str(grace_s), *command]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(stream: object) -> str:
    return stream.readline().strip()  # type: ignore[attr-defined]


def is_alive(pid: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)])
def test_the_exit_code_is_the_commands(command: str, code: int) -> None:
    process = keep("sh", "-c", command)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code


def test_it_prints_the_commands_process_id_and_all_else_is_the_log() -> None:
    said, logged = keep("sh", "-c", "echo $$; echo wrong >&2").communicate(timeout=DEADLINE_S)
    assert logged.splitlines() == [said.strip(), "wrong"]


def test_the_command_has_a_group_of_its_own_and_ends_at_sigterm_with_its_own_code() -> None:
    process = keep("sh", "-c", OBEYS_SIGTERM, grace_s=5)
    pid = int(first_line(process.stdout))
    assert first_line(process.stderr) == "ready"
    assert os.getpgid(pid) == pid != os.getpgid(0)
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 3
    assert not is_alive(pid)


def test_what_ignores_sigterm_is_killed_after_the_grace_period() -> None:
    process = keep("sh", "-c", IGNORES_SIGTERM)
    pid = int(first_line(process.stdout))
    assert first_line(process.stderr) == "ready"
    children = psutil.Process(pid).children()
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + signal.SIGKILL
    assert not any(is_alive(each) for each in (pid, *(child.pid for child in children)))


@linux
def test_what_left_the_group_is_found_and_ended_with_the_command() -> None:
    process = keep("sh", "-c", "setsid sleep 600 & echo $! >&2")
    stray = int(first_line(process.stderr))
    assert process.wait(DEADLINE_S) == 0
    assert not is_alive(stray)
    process.communicate()


def test_when_its_parent_is_killed_it_ends_the_command() -> None:
    line = f"'{sys.executable}' '{KEEPER}' $$ 0.3 sleep 600 & wait"
    parent = subprocess.Popen(["sh", "-c", line], stdout=subprocess.PIPE, text=True)
    pid = int(first_line(parent.stdout))
    assert is_alive(pid)
    parent.kill()
    parent.communicate(timeout=DEADLINE_S)  # the pipe closes with the keeper, which has it too
    wait_until_gone(pid)


@linux
def test_when_it_is_killed_itself_the_command_gets_sigterm() -> None:
    process = keep("sleep", "600")
    pid = int(first_line(process.stdout))
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    wait_until_gone(pid)


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    process = keep(str(tmp_path / "absent"))
    said, logged = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert said == ""
    assert "No such file or directory" in logged
    assert str(tmp_path / "absent") in logged
