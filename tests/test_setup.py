"""The two steps of the set-up: what `make demo` installs is enough to run, and `make test` adds the rest."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Set
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LAYERS = ("flows", "tasks", "coemogen_core", "schemas")
NOT_IN_THE_FIRST_STEP = ("ray", "prefect-ray", "prefect-kubernetes", "s3fs", "moto", "playwright", "pytest", "mypy")

# Stands in for uv: notes how it is called, makes the environment's folder, and fails where it is told to.
FAKE_UV = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  venv*) for folder; do :; done; mkdir -p "$folder" ;;
  *"$FAILS"*) exit 1 ;;
esac
"""


@cache
def brought_by(name: str, extras: tuple[str, ...] = ()) -> Set[str]:
    """Names of the distributions that installing one with these extras brings, its own included."""
    found: set[str] = set()
    waiting = [(canonicalize_name(name), extras)]
    seen = set()
    while waiting:
        entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        distribution, wanted = entry
        found.add(distribution)
        try:
            requirements = [Requirement(text) for text in requires(distribution) or []]
        except PackageNotFoundError:  # not installed here, so it brings nothing
            continue
        for requirement in requirements:
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((canonicalize_name(requirement.name), tuple(sorted(requirement.extras))))
    return found


def imported_on_loading(body: list[ast.stmt]) -> Iterator[str]:
    """Top-level packages that a module imports as soon as it is imported itself."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_type_checking(node):
            for field in ("body", "orelse", "handlers", "finalbody"):
                yield from imported_on_loading(getattr(node, field, []))


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def test_what_runs_imports_only_what_the_first_step_brings() -> None:
    brought = brought_by("coemogen", ("efficientnet",))
    distributions = packages_distributions()
    foreign = {
        f"{file.relative_to(ROOT)} imports {name}"
        for layer in LAYERS
        for file in (ROOT / layer).rglob("*.py")
        for name in imported_on_loading(ast.parse(file.read_text()).body)
        if name not in sys.stdlib_module_names and name not in LAYERS
        if brought.isdisjoint(canonicalize_name(distribution) for distribution in distributions.get(name, []))
    }
    assert not foreign


def test_the_first_step_brings_nothing_that_only_tests_and_clusters_need() -> None:
    assert brought_by("coemogen", ("efficientnet",)).isdisjoint(NOT_IN_THE_FIRST_STEP)
    assert brought_by("coemogen", ("dev",)).issuperset(NOT_IN_THE_FIRST_STEP)


class Setup:
    """The Makefile with an environment in a temporary folder and a uv that installs nothing."""

    def __init__(self, folder: Path) -> None:
        self.environment = folder / "venv"
        self.log = folder / "calls"
        programs = folder / "programs"
        programs.mkdir()
        (programs / "uv").write_text(FAKE_UV)
        (programs / "uv").chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def make(self, *arguments: str, fails: str = "never") -> subprocess.CompletedProcess[str]:
        of_make = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # of the make that runs these tests
        inherited = {name: value for name, value in os.environ.items() if name not in of_make}
        return subprocess.run(
            ["make", f"VENV={self.environment}", *arguments],
            cwd=ROOT,
            env=inherited | {"PATH": self.path, "CALLS": str(self.log), "FAILS": fails},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """How uv was called since the last question."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    if shutil.which("make") is None:
        pytest.skip("no make")
    return Setup(tmp_path)


def test_each_step_is_done_once(setup: Setup) -> None:
    assert setup.make("install").returncode == 0
    first = setup.calls()
    assert [call.split()[0] for call in first] == ["venv", "pip", "pip"]
    assert first[1].endswith("--constraint constraints.txt torch")
    assert "dev" not in first[2]

    assert setup.make("install").returncode == 0
    assert setup.calls() == []

    assert setup.make("install-dev").returncode == 0
    assert [call.split()[-1] for call in setup.calls() if call.startswith("pip")] == [".[dev]", "tests/oracles.txt"]

    assert setup.make("install", "install-dev").returncode == 0
    assert setup.calls() == []


@pytest.mark.parametrize("fails", ["torch", "efficientnet"])
def test_a_step_that_fails_is_taken_again(setup: Setup, fails: str) -> None:
    assert setup.make("install", fails=fails).returncode != 0
    setup.calls()

    assert setup.make("install").returncode == 0
    assert setup.calls()


def test_a_failed_second_step_leaves_the_first_one_done(setup: Setup) -> None:
    assert setup.make("install-dev", fails="oracles").returncode != 0
    setup.calls()

    assert setup.make("install").returncode == 0
    assert setup.calls() == []
    assert setup.make("install-dev").returncode == 0
    assert setup.calls()


@pytest.mark.parametrize("target", ["demo", "demo-short", "serve", "search"])
def test_what_runs_asks_for_the_first_step_alone(setup: Setup, target: str) -> None:
    planned = setup.make("--dry-run", target).stdout
    assert "--editable '.[efficientnet]'" in planned
    assert "[dev]" not in planned


@pytest.mark.parametrize("target", ["test", "lint", "test-vllm", "test-search", "test-readers"])
def test_what_checks_asks_for_both_steps(setup: Setup, target: str) -> None:
    planned = setup.make("--dry-run", target).stdout
    steps = [planned.index(step) for step in ("--editable '.[efficientnet]'", "--editable '.[dev]'", "oracles.txt")]
    assert steps == sorted(steps)


def test_pip_where_there_is_no_uv(setup: Setup) -> None:
    planned = setup.make("--dry-run", "test", "UV=").stdout
    assert "uv " not in planned
    assert planned.count(f"{setup.environment}/bin/python -m pip install ") == 4
