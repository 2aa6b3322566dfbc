"""What a person sees of the command: help as it was written, and one line that names the thing and the remedy, never a traceback."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cyclopts.argument import Argument
from rich.console import Console

from coemogen_core.errors import CoEmoGenError
from flows.command_line import app, main
from flows.command_line.front import TRACEBACK, report
from flows.command_line.options import nested

COMMANDS = sorted(name for name in app if not name.startswith("-"))
SERVICES = {"automations", "captioner", "demo", "resume", "revive", "serve", "stop", "write-prompts"}  # need no workspace that is there
RUN = "6f6d7f0e-0000-4000-8000-000000000000"
GIVEN = {"--run": RUN, "--workspace": "absent", "--endpoint": "http://127.0.0.1:9/v1", "--emotion": "awe"}
Run = Callable[..., tuple[int, str]]


def options(command: str) -> list[Argument]:
    return list(app[command].assemble_argument_collection())


def needed(command: str) -> list[str]:
    """What a command does not run without, and nothing of it there."""
    wanted = [option for option in options(command) if option.required or option.name in ("--workspace", "--emotion")]
    return [token for option in wanted for token in (option.name, GIVEN.get(option.name, "nowhere"))]


CHOICES = [(command, option) for command in COMMANDS for option in options(command) if option.get_choices()]


def help_of(command: str) -> str:
    text = io.StringIO()
    app.help_print([command], console=Console(file=text, width=400))
    return text.getvalue()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as the shell starts it, in an empty folder; returns its exit code and what it said of errors."""
    monkeypatch.setattr("flows.command_line.front.prepare_environment", lambda **_: None)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["coemogen", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def assert_one_line(outcome: tuple[int, str], said: str) -> None:
    code, text = outcome
    assert code == 2
    assert text.startswith("error: ")
    assert said in text
    assert len(text.splitlines()) == 1


def test_nested_settings() -> None:
    settings = ["training.steps=5", "training.seed=1", "evaluation.clip_model=lab:clip", "train_splits=['train', 'val']"]
    assert nested(settings) == {
        "training": {"steps": 5, "seed": 1},
        "evaluation": {"clip_model": "lab:clip"},
        "train_splits": ["train", "val"],
    }
    with pytest.raises(ValueError, match="key=value"):
        nested(["steps"])


def test_help_needs_nothing_that_takes_long_to_import() -> None:
    code = "import sys, flows.command_line; print({'torch', 'prefect', 'polars', 'pydantic', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option_and_text_as_it_is_written(command: str) -> None:
    shown = help_of(command)
    assert str(app[command].default_command.__doc__).splitlines()[0] in shown
    for option in options(command):
        assert option.parameter.help, f"{option.name} has no help"
        assert option.name in shown
        assert option.parameter.help in shown
    for placeholder in re.findall("<[^>]+>", " ".join(str(option.parameter.help) for option in options(command))):
        assert placeholder in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_does_not_exist_is_one_line(run: Run, command: str) -> None:
    assert_one_line(run(command, *needed(command), "--no-such-option", "1"), "--no-such-option")


@pytest.mark.parametrize(("command", "option"), CHOICES, ids=lambda each: each if isinstance(each, str) else each.name)
def test_a_wrong_word_is_refused_with_the_list(run: Run, command: str, option: Argument) -> None:
    choices = option.get_choices()
    assert choices is not None
    assert_one_line(run(command, *needed(command), option.name, "wrong"), ", ".join(f'"{choice}"' for choice in choices))


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("command", sorted(set(COMMANDS) - SERVICES))
def test_an_absent_workspace_or_folder_is_named_in_the_last_line(run: Run, command: str) -> None:
    logging.disable(logging.CRITICAL)  # as the command does, before Prefect is imported
    try:
        code, text = run(command, *needed(command))
    finally:
        logging.disable(logging.NOTSET)
    assert code == 2
    assert re.match("error: .*(absent|nowhere)", text.splitlines()[-1])
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-command"], 'Unknown command "no-such-command"'),
        (["build-emoset", "photos", "--workspace", "w", "--set", "drop_fraction=1.5"], "drop_fraction: Input should be less than 1"),
        (["build-emoset", "photos", "--workspace", "w", "--name", "My Photos"], "source.name: String should match pattern"),
        (["build-emoset", "photos", "--workspace", "w", "--set", "drop_fraction=2", "--set", "part_sise=1"], "part_sise: Extra inputs"),
        (["recaption", "--workspace", "w", "--set", "caption"], "--set 'caption' is not of the form key=value"),
        (["train", "--workspace", "w", "--set", "training.recipe=none"], "unknown training recipe 'none'; expected one of: lab"),
        (["train-and-eval", "--workspace", "w", "--matrix", "broken.toml"], "broken.toml is no TOML file"),
        (["evaluate", "x", "--reference", "y", "--extractors", "broken.toml"], "broken.toml is no TOML"),
        (["generate", "joy", "--out", "o"], "unknown emotion 'joy'; expected one of"),
        (["import-audit", "nothing.json", "--workspace", "w"], "nothing.json does not exist"),
        (["resume", "abc"], "unable to convert"),
        (["serve", "--port", "0"], "port: Input should be greater than or equal to 1"),
        (["serve"], "no prefect.yaml in"),
        (["captioner", "--model", "nowhere", "--set", "environment=nothing"], "nothing"),
        (["write-prompts", "f.toml", "--model", "m", "--endpoint", "htp://x"], "endpoint: Value error, no address of a server"),
    ],
    ids=lambda each: " ".join(each)[:40] if isinstance(each, list) else "",
)
def test_wrong_input_is_named_in_one_line(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "broken.toml").write_text("x = [")
    assert_one_line(run(*arguments), said)
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["automations"], ["resume", RUN]], ids=lambda each: each[0])
def test_a_server_that_does_not_answer_is_named_with_the_remedy(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    line = [sys.executable, "-c", "from flows.command_line import main; main()", *command]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert_one_line((done.returncode, done.stderr), "no Prefect server answers at http://127.0.0.1:9/api: start it (`coemogen serve`)")


def test_a_fault_of_ours_is_one_line_that_says_where_the_traceback_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("flows.services.processes.LockedProcessList.stop_all", lambda _: 1 / 0)
    code, text = run("stop", "--folder", ".")
    assert code == 1
    (file,) = tmp_path.glob("coemogen-*.txt")
    assert text == f"error: ZeroDivisionError: division by zero (a fault of coemogen, not of your input; traceback in {file})\n"
    assert "stop_all" in file.read_text()
    monkeypatch.setenv(TRACEBACK, "1")
    assert run("stop", "--folder", ".")[1].startswith("Traceback")


def test_further_lines_of_an_error_stand_below_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(CoEmoGenError("training in 2 processes failed: out of [memory]\n\nIts last lines:\nstep 3")) == 2
    assert capsys.readouterr().err == "error: training in 2 processes failed: out of [memory]\n\nIts last lines:\nstep 3\n"
