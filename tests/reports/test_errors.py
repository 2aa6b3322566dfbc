"""Whatever goes wrong: one line with the thing and the remedy, exit code 1 or 2, no traceback on the terminal."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.command_line import app
from flows.environment import usable_prefect_home
from tests.flows.test_command_line import COMMANDS, needed, run

__all__ = ["run"]
ROOT = Path(__file__).parents[2]
UNKNOWN = {
    "a kind of its own": type("StrangeError", (Exception,), {})("the moon is blue"),
    "no words": RuntimeError(),
    "many lines": KeyError("a\nb\nc"),
    "a base exception": type("StrangerError", (BaseException,), {})("outside of Exception"),
    "a failed assertion": AssertionError("x"),
    "too deep": RecursionError("maximum recursion depth exceeded"),
}


@pytest.mark.parametrize("what", UNKNOWN)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_exception_in_any_command_is_one_line_that_names_its_trace(run, monkeypatch, command, what):
    def broken(*_args, **_kwargs):
        raise UNKNOWN[what]

    parsed = app.parse_args

    def parse(*args, **kwargs):
        _, bound, ignored = parsed([command, *needed(command)], exit_on_error=False, print_error=False)
        broken.__name__ = command
        return broken, bound, ignored

    monkeypatch.setattr("flows.command_line.front.app", SimpleNamespace(parse_args=parse))
    code, said = run(command, *needed(command))
    assert code == 1
    assert len(said.splitlines()) == 1, said
    trace = re.search(r"traceback in (\S+?)\)?$", said.strip())
    assert trace is not None, said
    assert type(UNKNOWN[what]).__name__ in Path(trace.group(1)).read_text()


def command(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own: what Prefect logs there goes to the terminal."""
    line = [sys.executable, "-c", "from flows.command_line import main; main()", *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = clean | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def assert_last_of_few(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """An error in the last line; above it stand at most the lines of finished stages."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("error: ")
    assert all(word in lines[-1] for word in words), lines[-1]
    others = [line for line in lines[:-1] if not line.startswith(("✓", "  ")) and line.strip()]
    assert others == [], others


@pytest.mark.slow
def test_a_wrong_model_name(prefect_server, world, tmp_path):
    done = command(
        "build-emoset",
        world / "photos",
        "--workspace",
        tmp_path / "w",
        "--set",
        "encoder.model=no-such/model",
        PREFECT_API_URL=prefect_server,
    )
    assert_last_of_few(done, "no-such/model")


@pytest.mark.slow
def test_a_prefect_server_that_is_not_there(world, tmp_path):
    done = command("build-emoset", world / "photos", "--workspace", tmp_path / "w", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert_last_of_few(done, "http://127.0.0.1:9/api", "coemogen serve")


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://", "foo", "http://127.0.0.1:99999/api"])
def test_an_address_that_is_none(world, tmp_path, address):
    done = command("build-emoset", world / "photos", "--workspace", tmp_path / "w", PREFECT_API_URL=address)
    assert_last_of_few(done, f"no Prefect server answers at {address}", "unset PREFECT_API_URL")


@pytest.mark.slow
@pytest.mark.parametrize("content", ['{"hello": 1}', '"2.0"', "<html>"])
def test_another_server_in_prefects_place(world, tmp_path, httpserver, content):
    httpserver.expect_request(re.compile(".*")).respond_with_data(content, content_type="application/json")
    address = httpserver.url_for("/api")
    done = command("build-emoset", world / "photos", "--workspace", tmp_path / "w", PREFECT_API_URL=address)
    assert_last_of_few(done, address, "no Prefect server", "unset PREFECT_API_URL")


@pytest.mark.slow
def test_a_home_that_cannot_be_written(world, tmp_path):
    (tmp_path / "file").touch()
    done = command("build-emoset", world / "photos", "--workspace", tmp_path / "w", PREFECT_HOME=str(tmp_path / "file" / "x"))
    assert_last_of_few(done, "PREFECT_HOME=", "cannot be written")


def test_prefect_keeps_its_own_home_where_it_can(monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert usable_prefect_home() == {}
    (tmp_path / ".prefect").touch()  # a home that cannot be written, also for root
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    temporary = Path(usable_prefect_home()["PREFECT_HOME"])
    assert temporary.stat().st_mode & 0o777 == 0o700
    temporary.rmdir()
    temporary.symlink_to(tmp_path)  # laid there by somebody else
    with pytest.raises(ValueError, match="set PREFECT_HOME"):
        usable_prefect_home()


@pytest.mark.slow
def test_a_temporary_prefect_server_that_starts_too_slowly(world, tmp_path):
    variables = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "1", "PREFECT_HOME": str(tmp_path / "prefect")}
    done = command("build-emoset", world / "photos", "--workspace", tmp_path / "w", **variables)
    assert done.returncode == 2
    assert_last_of_few(done, "did not start within 1 s", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "coemogen serve")


@pytest.fixture
def broken_weights(tiny_clip, tmp_path):
    import shutil

    folder = Path(shutil.copytree(tiny_clip, tmp_path / "broken"))
    (folder / "model.safetensors").write_bytes(b"no safetensors at all")
    return folder


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build-emoset", "s3://", "--workspace", "w"], "s3:// names no bucket"),
        (["build-emoset", "{photos}", "--workspace", "s3://"], "s3:// names no bucket"),
        (["build-emoset", "ftp2://x", "--workspace", "w"], "ftp2://x cannot be opened"),
        (["build-emoset", "{photos}", "--workspace", "w", "--set", "captioner.device=cuda"], "no CUDA device"),
        (["build-emoset", "{photos}", "--workspace", "w", "--set", "encoder.device=cuda"], "no CUDA device"),
        (["build-emoset", "{photos}", "--workspace", "w", "--set", "encoder.model={broken}"], "model.safetensors"),
        (["train-and-eval", "--workspace", "w", "--set", "training.learning_rate=inf"], "learning_rate"),
        (["train-and-eval", "--workspace", "w", "--set", "launch.config_file=absent.yaml"], "absent.yaml does not exist"),
        (["generate", "awe", "--out", "o", "--model", "w", "--device", "tpu"], "tpu"),
        (["evaluate", "{photos}", "--reference", "{photos}", "--clip", "{broken}"], "model.safetensors"),
        (["evaluate", "{photos}", "--reference", "{photos}", "--clip", "nowhere/x"], "nowhere/x"),
        (["resume", "6f6d7f0e-0000-4000-8000-000000000000"], "no flow run 6f6d7f0e"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_what_was_a_traceback_is_a_line(run, world, broken_weights, arguments, words):
    logging.disable(logging.CRITICAL)
    try:
        code, said = run(*(each.format(photos=world / "photos", broken=broken_weights) for each in arguments))
    finally:
        logging.disable(logging.NOTSET)
    assert code in (1, 2)
    assert "Traceback" not in said
    assert words in said.strip().splitlines()[-1]
