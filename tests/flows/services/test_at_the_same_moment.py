"""serve, revive and stop at the same moment, some killed in the middle: what runs is listed, and nobody waits for a dead one."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from flows.services import serve as services
from flows.services.processes import ProcessList
from flows.services.settings import ServiceSettings
from tests.flows.services.stand_ins import (
    BOTH,
    Attack,
    Machine,
    all_finish,
    finish,
    lines_of_a_start,
    machine,
    slow_machine,
    stand_in,
    until,
)

__all__ = ["machine", "slow_machine"]

SLOW = Attack(popen_s=0.5)


def test_two_that_serve_start_one_set(machine: Machine) -> None:
    said = all_finish([machine.start("serve", SLOW), machine.start("serve", SLOW)])
    assert set(machine.listed()) == BOTH
    machine.assert_no_orphan()
    assert said.count("is at work in") == 1


def test_two_threads_that_serve_start_one_set(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, machine.place)
    settings = ServiceSettings(folder=machine.folder)
    together = threading.Barrier(4)

    def serve(_: int) -> None:
        together.wait()
        services.serve(settings, str)

    with ThreadPoolExecutor(4) as people:
        list(people.map(serve, range(4)))
    assert set(machine.listed()) == BOTH
    machine.assert_no_orphan()


def test_stop_while_serve_starts_a_worker_ends_the_worker_too(machine: Machine) -> None:
    (machine.place / "hold-deploy").touch()
    serving = machine.start("serve")
    until((machine.place / "deploying").exists)
    stopping, output = machine.start("stop")
    until(lambda: output.read_text() != "")
    (machine.place / "hold-deploy").unlink()
    finish(*serving)
    assert finish(stopping, output).splitlines() == [
        f"`coemogen serve` (process {serving[0].pid}) is at work in {machine.folder}: waiting for it, 600 s at most",
        "ended: worker-lab, server",
    ]
    assert machine.alive() == set()
    assert machine.processes.read() == []


def test_whatever_comes_at_once_all_of_it_runs_or_nothing(machine: Machine) -> None:
    """And whoever reads the list meanwhile finds it whole."""
    for commands in (["serve", "stop", "revive", "serve"], ["stop", "revive", "serve", "stop"], ["revive", "serve", "stop", "serve"]):
        started = [machine.start(each) for each in commands]
        while any(process.is_alive() for process, _ in started):
            machine.processes.read()
        all_finish(started)
        assert set(machine.listed()) in (BOTH, set())
        machine.assert_no_orphan()


def test_revive_starts_nothing_that_a_stop_is_about_to_end(slow_machine: Machine) -> None:
    stopping = slow_machine.start("stop")
    until(lambda: "worker-lab" not in slow_machine.listed())  # what it has started still runs
    reviving, output = slow_machine.start("revive")
    until(lambda: not reviving.is_alive() or "is at work in" in output.read_text())
    (slow_machine.place / "hold-end").unlink()
    assert "started again" not in finish(reviving, output)
    finish(*stopping)
    assert slow_machine.alive() == set()
    assert slow_machine.processes.read() == []


@pytest.mark.parametrize("next_command", ["revive", "stop", "serve"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_an_ended_stop_has_left_is_not_revived(slow_machine: Machine, number: signal.Signals, next_command: str) -> None:
    before = slow_machine.alive()
    stopping, _ = slow_machine.start("stop")
    until(lambda: "worker-lab" not in slow_machine.listed())
    assert stopping.pid is not None
    os.kill(stopping.pid, number)
    stopping.join()
    assert set(slow_machine.listed()) == {"server"}
    if next_command == "revive":
        assert slow_machine.do("revive") == ""
        assert set(slow_machine.listed()) == {"server"}
    (slow_machine.place / "hold-end").unlink()
    said = slow_machine.do("stop" if next_command == "revive" else next_command)
    if next_command == "serve":
        assert "ended, as the last `coemogen stop` was to do: " in said
        assert set(slow_machine.listed()) == BOTH
        slow_machine.do("stop")
    assert not slow_machine.alive() & before
    assert slow_machine.alive() == set()


def test_a_holder_that_is_killed_blocks_nobody(machine: Machine) -> None:
    (machine.place / "hold-deploy").touch()
    serving, _ = machine.start("serve")
    until((machine.place / "deploying").exists)
    stopping, output = machine.start("stop")
    until(lambda: "is at work" in output.read_text())
    serving.kill()
    assert finish(stopping, output).endswith("ended: server\n")
    assert machine.alive() == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_that_is_interrupted_leaves_nothing_and_harms_nobody_who_waits(machine: Machine, number: signal.Signals) -> None:
    (machine.place / "hold-deploy").touch()
    interrupted, _ = machine.start("serve")
    until((machine.place / "deploying").exists)
    waiting, output = machine.start("serve")
    until(lambda: output.read_text() != "")
    (machine.place / "deploying").unlink()
    first = machine.alive()
    assert interrupted.pid is not None
    os.kill(interrupted.pid, number)
    until((machine.place / "deploying").exists)
    assert not machine.alive() & first
    (machine.place / "hold-deploy").unlink()
    interrupted.join()
    assert interrupted.exitcode != 0
    finish(waiting, output)
    assert set(machine.listed()) == BOTH
    machine.assert_no_orphan()


@pytest.mark.slow
def test_serve_that_is_killed_anywhere_leaves_no_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each line in which a process is started and noted."""
    lines: list[int] = []
    undisturbed = Machine(tmp_path / "undisturbed")
    stand_in(monkeypatch, undisturbed.place)
    threading.settrace(lines_of_a_start(lines.append))
    try:
        serving = threading.Thread(target=services.serve, args=(ServiceSettings(folder=undisturbed.folder), str))
        serving.start()
        serving.join()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        undisturbed.end()
    assert len(lines) > 10

    attacked = [Machine(tmp_path / str(line)) for line in lines]
    try:
        killed = [each.start("serve", Attack(lethal_line=line))[0] for each, line in zip(attacked, lines, strict=True)]
        for process in killed:
            process.join()
        assert {process.exitcode for process in killed} == {-signal.SIGKILL}
        all_finish([each.start("serve") for each in attacked])
        for each in attacked:
            each.assert_no_orphan()
        assert [set(each.listed()) for each in attacked] == [BOTH] * len(lines)
        all_finish([each.start("stop") for each in attacked])
        assert [each.alive() for each in attacked] == [set()] * len(lines)
    finally:
        for each in attacked:
            each.end()


def test_stop_ends_what_a_dead_service_has_left(slow_machine: Machine) -> None:
    (slow_machine.place / "hold-end").unlink()
    for pid in slow_machine.listed().values():
        psutil.Process(pid).kill()
    assert slow_machine.do("revive") == "started again: server, worker-lab\n"
    assert slow_machine.do("stop") == "ended: worker-lab, server\n"
    assert slow_machine.alive() == set()


def test_serve_on_another_port_than_the_running_server_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, machine.place)
    services.serve(ServiceSettings(folder=machine.folder, port=4200), str)
    with pytest.raises(services.ServiceError, match="runs on port 4200: take that one, or `coemogen stop` first"):
        services.serve(ServiceSettings(folder=machine.folder, port=4300), str)
    assert ServiceSettings.load(machine.folder).port == 4200
    with ProcessList(machine.folder).changing("stop", str) as processes:
        assert processes.stop_all() == ["worker-lab", "server"]
