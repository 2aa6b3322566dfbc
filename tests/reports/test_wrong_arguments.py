"""Every command with every kind of wrong argument: one line that names it, exit code 1 or 2, no traceback, and nothing that ran first.

A command is given what it needs, and one thing wrong: left out, of another type, out of its extent, unknown, absent, or not to be read.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from cyclopts.argument import Argument
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from coemogen_core.recipe import merge
from flows.command_line.options import nested
from flows.params import BuildEmoartParams, BuildEmosetParams, FlowParams, RecaptionParams, load_params
from flows.train_params import TrainAndEvalParams
from tests.flows.test_command_line import COMMANDS, options, run

__all__ = ["run"]
UNREADABLE = ("absent", "loop", "under-a-file/x", "a-folder", "noise")
"""There is none; a link to itself; a file in place of a folder above it; a folder; bytes that are nothing."""
READ = {
    "--root": {"noise", "absent", "loop", "under-a-file/x"},
    "--images": {"noise", "absent", "loop", "under-a-file/x"},
    "--reference": {"noise", "absent", "loop", "under-a-file/x"},
    "--labelled-root": {"noise", "absent", "loop", "under-a-file/x"},
    "--valence-ratings": set(UNREADABLE),
    "--art-ratings": set(UNREADABLE),
    "--matrix": set(UNREADABLE),
    "--extractors": set(UNREADABLE),
    "--probe": set(UNREADABLE),
    "--clip": set(UNREADABLE),
    "--model": set(UNREADABLE),
    "--from": set(UNREADABLE),
    "--workspace": {"noise", "loop", "under-a-file/x"},
    "--out": {"noise", "loop", "under-a-file/x"},
    "--destination": {"noise", "loop", "under-a-file/x"},
    "--json": {"a-folder", "under-a-file/x"},
    "--report": {"a-folder", "under-a-file/x"},
    "--log-file": {"a-folder", "loop", "under-a-file/x"},
    "--folder": {"noise", "loop", "under-a-file/x"},
    "--file": set(UNREADABLE),
}
"""What is wrong for an option that names something to read, or a place to write to."""
UNKNOWN = {
    "--name": ["No Name", "../up", ""],
    "--labelled": ["No Name", "nobody"],
    "--dataset": ["No Name", "nobody"],
    "--emoart": ["nobody"],
    "--version": ["nobody", "0000"],
    "--run": ["nobody", "../up"],
    "--source": ["No Name"],
    "--emotion": ["joy", "awe=x", "awe=0.5,awe=0.5", "awe=-1", "awe=nan", ""],
    "--endpoint": ["nowhere", "ftp://127.0.0.1", "http://127.0.0.1:9/v1"],
    "--set": ["nothing=1", "x", "=1", "encoder={}"],
}
"""Words that stand for nothing there."""
NUMBERS = {int: ["x", "1.5", "-1", "99999999999999999999"], float: ["x", "nan", "inf", "-1"]}
FINE = {
    ("audit", "--destination", "noise"): "a file, which the page replaces",
    ("audit", "--destination", "loop"): "a link, which the page replaces",
}
"""What looks wrong and is none."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Things that no command can use."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "under-a-file").write_text("a file")
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 8)
    return tmp_path


@pytest.fixture(scope="module")
def own_chain(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workspace: what is refused late has done the stages before."""
    return Path(shutil.copytree(chain, tmp_path_factory.mktemp("wrong") / "chain"))


def good(command: str, world: Path, chain: Path, place: Path) -> list[str]:
    """What a command needs."""
    workspace, photos = ["--workspace", str(chain)], str(world / "photos")
    return {
        "audit": workspace,
        "automations": [],
        "build-emoart": ["--root", str(world / "paintings"), *workspace],
        "build-emoset": ["--root", photos, *workspace],
        "captioner": ["--model", "lab:captioner"],
        "demo": ["--folder", "demo"],
        "evaluate": ["--images", photos, "--reference", photos],
        "export": ["--destination", "exported", *workspace],
        "export-lora": [*workspace, "--run", _run(chain), "--emotion", "awe", "--destination", "loras"],
        "generate": ["--emotion", "awe", "--out", "out", *workspace],
        "import-audit": ["--file", "verdicts.json", *workspace],
        "prune": workspace,
        "recaption": workspace,
        "refilter": workspace,
        "resume": ["--run", "6f6d7f0e-0000-4000-8000-000000000000"],
        "revive": ["--folder", "a-folder"],
        "serve": ["--folder", "services"],
        "stop": ["--folder", "a-folder"],
        "train": workspace,
        "train-and-eval": workspace,
        "write-prompts": ["--file", "prompts.toml", "--model", "m", "--endpoint", "http://127.0.0.1:9/v1"],
    }[command]


def _run(chain: Path) -> str:
    return sorted(path.name for path in (chain / "runs").iterdir() if path.name.startswith("train-"))[0]


def wrong(command: str, needed: list[str]) -> Iterator[list[str]]:
    """The arguments of a command with one thing wrong, again and again."""
    for option in options(command):
        rest = _without(needed, option.name)
        if option.required:
            yield rest
        for value in _wrong_values(option):
            if (command, option.name, value) not in FINE:
                yield [*rest, option.name, value]
        if option.hint is not bool:
            yield [*rest, option.name]


def _wrong_values(option: Argument) -> list[str]:
    kinds = [kind for kind in NUMBERS if kind.__name__ in str(option.hint)]
    values = [value for kind in kinds for value in NUMBERS[kind]]
    return [*(["wrong"] if option.get_choices() else []), *values, *sorted(READ.get(option.name, ())), *UNKNOWN.get(option.name, ())]


def _without(arguments: list[str], name: str) -> list[str]:
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return [token for pair in pairs if pair[0] != name for token in pair]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_for_each(run, world, own_chain, place, command, record_property):
    offences, tried = [], 0
    logging.disable(logging.CRITICAL)  # as the command does, before Prefect is imported
    try:
        for arguments in wrong(command, good(command, world, own_chain, place)):
            tried += 1
            try:
                code, said = run(command, *arguments)
            except pytest.fail.Exception:
                code, said = 0, "it ran"
            shown = [
                line.rpartition("\r")[2] for line in said.strip().split("\n")
            ]  # bars that a terminal overwrites; no command draws them
            lines = [line for line in shown if line and not line.startswith(("✓", "Loading weights"))]
            if code not in (1, 2) or "Traceback" in said or len(lines) != 1 or not lines[0].startswith("error: "):
                offences.append(f"{command} {' '.join(arguments)}\n    -> {code}: {said[-600:]}")
    finally:
        logging.disable(logging.NOTSET)
    record_property("tried", tried)
    assert not offences, "\n".join([f"{len(offences)} of {tried}:", *offences])


PARAMS: dict[str, tuple[type[FlowParams], dict[str, Any]]] = {
    "build-emoset": (BuildEmosetParams, {"workspace": "w", "source": {"name": "a", "layout": "emoset", "root": "p"}}),
    "build-emoart": (
        BuildEmoartParams,
        {"workspace": "w", "source": {"name": "b", "layout": "wikiart", "root": "p"}, "labelled_source": "a"},
    ),
    "recaption": (RecaptionParams, {"workspace": "w", "dataset": "a"}),
    "train-and-eval": (TrainAndEvalParams, {"workspace": "w"}),
}


def settings(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a model and of the models in it, by its name in --set."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from settings(inner[0], f"{before}{name}.")
        yield f"{before}{name}", field


def beyond(field: FieldInfo) -> Iterator[str]:
    """Values of a wrong type, and next to the bounds on the wrong side."""
    kinds = {field.annotation, *get_args(field.annotation)}
    number = bool(kinds & {int, float}) and str not in kinds
    yield from ("x", "true", "[1]", "nan", "inf") if number else ()
    yield from ("1.5", "1e3") if number and float not in kinds else ()
    if number:
        for bound in field.metadata:
            yield from (repr(getattr(bound, name) - 1) for name in ("ge", "gt") if getattr(bound, name, None) is not None)
            yield from (repr(getattr(bound, name) + 1) for name in ("le", "lt") if getattr(bound, name, None) is not None)
    yield from ("5", "x") if bool in kinds else ()
    yield from ("5", "[1]") if kinds == {str} else ()
    yield "{nothing = 1}"


@pytest.mark.parametrize("flow", PARAMS)
def test_no_setting_takes_what_is_none(flow):
    model, given = PARAMS[flow]
    values = [(name, value) for name, field in settings(model) for value in beyond(field)]
    assert len(values) > 50
    said = {f"{name}={value}": refusal_of(model, given, f"{name}={value}") for name, value in values}
    assert {setting: words for setting, words in said.items() if setting.partition("=")[0].rpartition(".")[2] not in words} == {}


def refusal_of(model: type[FlowParams], given: dict[str, Any], setting: str) -> str:
    """What the error says; nothing when the setting is taken."""
    try:
        load_params("lab", model, merge(given, nested([setting])))
    except ValueError as error:
        return str(error)
    return "taken"
