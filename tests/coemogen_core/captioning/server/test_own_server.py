"""The life of a server of our own, with a real process that stands in for vLLM."""

import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from coemogen_core.captioning.server import own_server
from coemogen_core.captioning.server.own_server import OwnServerError, serve
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings, default_environment
from tests.coemogen_core.captioning.server.stand_in_vllm import is_alive, lives, make_environment

DEADLINE_S = 600  # of what takes a second on a quiet machine


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return make_environment(tmp_path / "environment")


@pytest.fixture(autouse=True)
def short_grace_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_server, "GRACE_S", 0.5)
    monkeypatch.delenv("VLLM_API_KEY", raising=False)


def settings(environment: Path, *words: str, **fields: Any) -> OwnServerSettings:
    return OwnServerSettings(model="org/captioner", environment=environment, extra_arguments=words, **fields)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_gone(environment: Path) -> bool:
    return not any(is_alive(pid) for pair in lives(environment) for pid in pair)


def served(endpoint: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{endpoint}/models", timeout=DEADLINE_S) as answer:
        return json.load(answer)["data"][0]


def test_a_healthy_server_serves_the_model_under_its_own_name_and_leaves_nothing_behind(environment: Path, tmp_path: Path) -> None:
    with serve(settings(environment, max_model_len=512), tmp_path / "logs" / "server.log") as server:
        answer = served(server.endpoint)
        assert answer["id"] == server.model == "org/captioner"
        assert server.endpoint.startswith("http://127.0.0.1:")
        assert server.pid == lives(environment)[0][0]
        options = dict(itertools.pairwise(answer["arguments"]))
        assert options["serve"] == "org/captioner"
        assert options["--max-model-len"] == "512"
        assert json.loads(options["--limit-mm-per-prompt"]) == {"image": 1, "video": 0}
        assert json.loads(options["--structured-outputs-config"])["disable_any_whitespace"] is True
        assert "--mm-processor-kwargs" not in options
        child = lives(environment)[0][1]
        assert is_alive(child)
    assert all_gone(environment)


@pytest.mark.parametrize("words", [("stubborn",), ("strays",)])
def test_what_ignores_sigterm_or_leaves_the_group_is_ended_all_the_same(environment: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    with serve(settings(environment, *words), tmp_path / "log"):
        pass
    assert lives(environment)
    assert all_gone(environment)


def test_an_exception_and_ctrl_c_end_the_server(environment: Path, tmp_path: Path) -> None:
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), serve(settings(environment), tmp_path / "log"):
            raise error
    assert len(lives(environment)) == 2
    assert all_gone(environment)


def test_a_server_that_dies_at_once_is_not_started_again_and_the_message_ends_with_its_log(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier run\n")
    with pytest.raises(OwnServerError) as raised, serve(settings(environment, "die"), tmp_path / "log"):
        pass
    message = str(raised.value)
    assert "exit code 1" in message
    assert "its first error: ValueError: no such model" in message
    assert str(tmp_path / "log") in message
    assert "the first of many lines" not in message
    assert "earlier run" not in message
    assert "earlier run" in (tmp_path / "log").read_text()


def test_a_server_that_never_answers_is_ended(environment: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(OwnServerError, match=r"not healthy within startup_timeout_s = 5"),
        serve(settings(environment, "sleep", startup_timeout_s=5.0), tmp_path / "log"),
    ):
        pass
    assert lives(environment)
    assert all_gone(environment)


def test_a_missing_environment_is_named_with_its_remedy(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"absent: run `make captioner`.*COEMOGEN_CAPTIONER_ENV"),
        serve(settings(tmp_path / "absent"), tmp_path / "log"),
    ):
        pass


def test_a_taken_port_is_refused_before_anything_starts(environment: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} .* another"), serve(settings(environment, port=port), tmp_path / "log"):
            pass
    assert not lives(environment)


def test_a_killed_server_is_back_on_the_same_port(environment: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), serve(settings(environment), tmp_path / "log") as server:
        first, child = lives(environment)[0]
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: "healthy again" in caplog.text)
        assert served(server.endpoint)["id"] == server.model
        assert server.pid == lives(environment)[1][0] != first
        assert not is_alive(child), "what the dead server left behind would hold the GPU"
        assert "exit code 137); restart 1 of 5" in caplog.text
    assert all_gone(environment)


def test_a_server_that_keeps_dying_is_given_up(environment: Path, tmp_path: Path) -> None:
    with serve(settings(environment, max_restarts=1), tmp_path / "log") as server:
        for life in range(2):
            wait_until(lambda life=life: len(lives(environment)) == life + 1)
            os.kill(lives(environment)[life][0], signal.SIGKILL)
        with pytest.raises(OwnServerError, match="given up after 1 restarts"):
            server.wait()
    assert all_gone(environment)


def test_a_killed_keeper_takes_the_server_along(environment: Path, tmp_path: Path) -> None:
    with serve(settings(environment, max_restarts=0), tmp_path / "log") as server:
        keeper = int(Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: server.error is not None)
        assert "given up after 0 restarts" in str(server.error)
        wait_until(lambda: all_gone(environment))  # they were killed; a busy machine takes its time to end them


def test_when_this_process_is_killed_the_server_ends(environment: Path, tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from coemogen_core.captioning.server import own_server
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
own_server.GRACE_S = 0.5
settings = OwnServerSettings(model="org/captioner", environment=Path({str(environment)!r}))
with own_server.serve(settings, Path({str(tmp_path / "log")!r})):
    print("up", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        assert not all_gone(environment)
        parent.kill()
    wait_until(lambda: all_gone(environment))


def test_settings_are_bounded_and_the_default_environment_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        OwnServerSettings(model="org/captioner", port=70000)
    with pytest.raises(ValidationError):
        OwnServerSettings.model_validate({"model": "org/captioner", "gpu": 1})
    monkeypatch.setenv("COEMOGEN_CAPTIONER_ENV", "/somewhere/else")
    assert default_environment() == Path("/somewhere/else")
    monkeypatch.delenv("COEMOGEN_CAPTIONER_ENV")
    assert default_environment() == Path(__file__).parents[4] / "envs" / "captioner" / ".venv"


def test_command_and_variables_fit_the_build(environment: Path, tmp_path: Path) -> None:
    tuned = settings(environment, "--seed", "1", max_pixels=589824, data_parallel=4, revision="abc")
    gpu = tuned.command("org/captioner", 8000)
    assert gpu[1:5] == ["-m", "vllm.entrypoints.cli.main", "serve", "org/captioner"]
    assert gpu[-2:] == ["--seed", "1"]
    for option, value in (
        ("--mm-processor-kwargs", '{"max_pixels": 589824}'),
        ("--data-parallel-size", "4"),
        ("--gpu-memory-utilization", "0.9"),
        ("--revision", "abc"),
        ("--dtype", "auto"),
    ):
        assert gpu[gpu.index(option) + 1] == value
    assert "--enforce-eager" not in gpu
    inherited = {"PYTHONPATH": "/ours", "DO_NOT_TRACK": "0", "HOME": "/home/user"}
    assert tuned.variables("org/captioner", inherited) == {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "0", "HOME": "/home/user"}

    (environment / "lib/python3.11/site-packages/vllm-0.32.0+cpu.dist-info").mkdir(parents=True)
    cpu = tuned.command(str(tmp_path), 8000)
    assert "--enforce-eager" in cpu
    assert cpu[cpu.index("--dtype") + 1] == "float32"
    assert "--gpu-memory-utilization" not in cpu
    variables = tuned.variables(str(tmp_path), {})
    assert variables["HF_HUB_OFFLINE"] == variables["VLLM_CPU_KVCACHE_SPACE"] == "1"
