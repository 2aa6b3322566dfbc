"""How soon commands end after SIGTERM at random moments, and whether the next run makes the same tables as one that was not ended.

    .venv/bin/python benchmarks/ended_by_signal.py --moments 10 --json ended_by_signal.json

A small world and the lab's models. Every command runs through once, to know its time and its tables; then it is started on the same state
again and again, gets `timeout --signal=TERM` at moments drawn by seed, and is run to its end. `serve` must leave no process behind.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psutil
from child_process import ROOT
from polars.testing import assert_frame_equal
from results_table import Row, report, row
from torch.distributed.elastic.utils.distributed import get_free_port

from coemogen_core.lab.corpora import write_paintings, write_photos

BAR_S = 10.0
MEASURED = ("asked_at", "latency_s")
"""Columns of when and how fast: other ones in every run."""
CHUNKED = ("captions", "alignment")
"""Tables whose rows stand in as many files as there were runs."""
SMALL = [
    *("training.steps=30", "training.warmup_steps=2", "images_per_emotion=2", "generation.num_inference_steps=4"),
    *("evaluation.resamples=20", "evaluation.minimum_reference=10"),
]
SETTINGS: dict[str, list[str]] = {
    "build-emoset": ["part_size=40"],
    "build-emoart": ["part_size=40"],
    "train-and-eval": SMALL,
    "recaption": ["caption.prompt_id=prior-long.v1", "reasons.older_recipe=true"],
}


@dataclass(frozen=True)
class Case:
    """A command, the state that it starts from, and where its results are."""

    name: str
    arguments: list[str]
    results: tuple[str, ...]
    starts_from: str | None
    """the command after whose end the folder looks as it must"""


def cases(world: Path) -> list[Case]:
    """The seven commands, in the order in which each finds what it needs."""
    workspace, photos, paintings = ["--workspace", "state/workspace"], str(world / "photos"), str(world / "paintings")
    chain = [
        Case("build-emoset", ["build-emoset", photos, *workspace], ("workspace",), None),
        Case("build-emoart", ["build-emoart", paintings, *workspace], ("workspace",), "build-emoset"),
        Case("train-and-eval", ["train-and-eval", *workspace], ("workspace",), "build-emoset"),
        Case("recaption", ["recaption", *workspace], ("workspace",), "build-emoset"),
        Case("generate", ["generate", "all", *workspace, "--out", "state/out", "--count", "4"], ("out",), "train-and-eval"),
        Case(
            "evaluate",
            ["evaluate", "state/out", "--reference", photos, "--json", "state/metrics.json", "--set", "resamples=2000"],
            ("metrics.json",),
            "generate",
        ),
    ]
    return [Case(each.name, [*each.arguments, *settings_of(each.name)], each.results, each.starts_from) for each in chain]


def settings_of(command: str) -> list[str]:
    """`--set` options."""
    return [part for setting in SETTINGS.get(command, []) for part in ("--set", setting)]


class Runner:
    """Starts commands in a folder of their own, each on a copy of the state that it needs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.states = folder / "states"
        self.left_behind: list[psutil.Process] = []
        self.traceback = ""
        self.was_sent = False
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        here = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PREFECT_HOME": str(folder / "prefect")}
        self.environment = kept | here

    def prepare(self, starts_from: str | None) -> None:
        """Lay the state down that a command starts from."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        if starts_from:
            shutil.copytree(self.states / starts_from, self.folder / "state")
        else:
            (self.folder / "state").mkdir()

    def run(self, arguments: list[str], signal_after_s: float | None = None, cwd: Path | None = None) -> tuple[int, float]:
        """Exit code, and seconds: of the run, or from the signal to the end of the process and of what it started.

        Raises:
            RuntimeError: a run that nobody ended failed.
        """
        command = [sys.executable, "-c", "from flows.command_line import main; main()", *arguments]
        if signal_after_s is not None:
            command = ["timeout", "--verbose", "--signal=TERM", "--preserve-status", f"{signal_after_s:.3f}", *command]
        started = time.monotonic()
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(command, cwd=cwd or self.folder, env=self.environment, stdout=said, stderr=said)
            children = psutil.Process(process.pid)
            family: set[psutil.Process] = set()
            while process.poll() is None:
                with contextlib.suppress(psutil.Error):
                    family |= set(children.children(recursive=True))
                time.sleep(0.02)
            alive = [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
            seconds = time.monotonic() - started - (signal_after_s or 0.0)
            said.seek(0)
            words = said.read().decode(errors="replace")
        self.left_behind = alive
        if signal_after_s is None and process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed: {words[-1000:]}")
        self.traceback = words[-2000:] if "Traceback" in words else ""
        self.was_sent = "sending signal TERM" in words
        return process.returncode, seconds


def tables(folder: Path, names: tuple[str, ...]) -> dict[str, object]:
    """What a command has made, without what is measured: the rows of Parquet files, trained tensors and pictures as bytes."""
    found: dict[str, object] = {}
    for name in names:
        files = [folder / name] if (folder / name).is_file() else sorted((folder / name).rglob("*"))
        for file in files:
            if "recaption" in file.parts:  # what each run chose, under its own id: the second has less to choose
                continue
            key = str(file.relative_to(folder))
            if file.suffix == ".parquet":
                key = str(Path(key).parent) if any(table in file.parts for table in CHUNKED) else key
                rows = pl.read_parquet(file)
                known = found.get(key)
                found[key] = pl.concat([*([known] if isinstance(known, pl.DataFrame) else []), rows.drop(MEASURED, strict=False)])
            elif file.suffix in (".safetensors", ".png") and "checkpoints" not in file.parts:
                found[key] = file.read_bytes()
            elif file.name == "metrics.json" and file.parent == folder:
                numbers = json.loads(file.read_text())
                found[key] = {part: numbers[part] for part in ("methods", "reference")}
            elif file.name.endswith(".tmp"):
                found[key] = b"left over"
    return {key: each.sort("image_id") if isinstance(each, pl.DataFrame) and "image_id" in each else each for key, each in found.items()}


def differences(wanted: dict[str, object], found: dict[str, object]) -> list[str]:
    """Names of the files that are not the same, or that only one of both has."""

    def same(name: str) -> bool:
        first, second = wanted.get(name), found.get(name)
        if isinstance(first, pl.DataFrame) and isinstance(second, pl.DataFrame):
            with contextlib.suppress(AssertionError):
                # a run with less left to do encodes texts in other batches: similarities agree to the last bits
                assert_frame_equal(first, second, abs_tol=1e-6, rel_tol=0)
                return True
            return False
        return type(first) is type(second) and bool(first == second)

    return sorted(name for name in wanted.keys() | found.keys() if not same(name))


def measure(runner: Runner, case: Case, moments: int) -> list[Row]:
    """Run a command whole, then end it at so many moments."""
    runner.prepare(case.starts_from)
    _, whole_s = runner.run(case.arguments)
    shutil.copytree(runner.folder / "state", runner.states / case.name, dirs_exist_ok=True)
    wanted = tables(runner.folder / "state", case.results)
    print(f"{case.name}: {whole_s:.1f} s, {len(wanted)} files to compare", flush=True)
    slowest, wrong, ended = 0.0, 0, 0
    while ended < moments:
        moment = runner.random.uniform(0.1, whole_s)
        runner.prepare(case.starts_from)
        code, seconds = runner.run(case.arguments, signal_after_s=moment)
        if not runner.was_sent:  # it was done before
            continue
        ended += 1
        left, traceback = [each.name() for each in runner.left_behind], runner.traceback
        different = differences(wanted, tables(runner.folder / "state", case.results))
        if different:  # else all was done, and only the process not ended: the same command would be another run
            runner.run(case.arguments)
            different = differences(wanted, tables(runner.folder / "state", case.results))
        print(f"  TERM after {moment:6.2f} s: exit {code}, {seconds:.2f} s, left {left}, different {different[:5]} {traceback}", flush=True)
        slowest = max(slowest, seconds)
        wrong += code == 0 or bool(left) or bool(different) or bool(traceback)
    return rows(case.name, slowest, wrong) if moments else []


def rows(name: str, slowest: float, wrong: int) -> list[Row]:
    """How a command did."""
    return [
        row(f"{name}: slowest end after SIGTERM", "s", slowest, None, BAR_S, slowest <= BAR_S),
        row(f"{name}: exit code 0, a traceback, processes left, or other tables", "runs", wrong, None, 0, wrong == 0),
    ]


def measure_serve(runner: Runner, moments: int) -> list[Row]:
    """The services: a start that was ended leaves nothing that the next start or `stop` trips over."""
    services = str(runner.folder / "services")
    serve = ["serve", "--folder", services, "--workspace", str(runner.folder / "state" / "workspace"), "--port"]
    runner.prepare(None)
    _, whole_s = runner.run([*serve, str(get_free_port())], cwd=ROOT)
    runner.run(["stop", "--folder", services])
    print(f"serve: {whole_s:.1f} s", flush=True)
    slowest, wrong = 0.0, 0
    for _ in range(moments):
        moment = runner.random.uniform(0.1, whole_s)
        shutil.rmtree(services, ignore_errors=True)
        port = str(get_free_port())
        code, seconds = runner.run([*serve, port], signal_after_s=moment, cwd=ROOT)
        traceback, sent = runner.traceback, runner.was_sent
        runner.run([*serve, port], cwd=ROOT)
        runner.run(["stop", "--folder", services])
        left = processes_of(runner.folder)
        print(f"  TERM after {moment:6.2f} s: exit {code}, {max(0.0, seconds):.2f} s, after stop {left} {traceback}", flush=True)
        slowest = max(slowest, seconds)
        wrong += (code == 0 and sent) or bool(left) or bool(traceback)
    return rows("serve", slowest, wrong)


def processes_of(folder: Path) -> list[str]:
    """Processes that were started for a folder, by what they are called."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in value for value in process.environ().values()):
                found.append(" ".join(process.cmdline())[-60:])
    return found


def main() -> None:
    """Run the measurements that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="*", help="names of commands; what these start from runs too")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="signals-") as folder:
        world = Path(folder) / "world"
        write_photos(world / "photos", 160, 1)
        write_paintings(world / "paintings", 60, 2)
        runner = Runner(Path(folder), options.seed)
        for case in cases(world):
            found += measure(runner, case, options.moments if not options.only or case.name in options.only else 0)
        if not options.only or "serve" in options.only:
            found += measure_serve(runner, options.moments)
    report(found, options.json)


if __name__ == "__main__":
    main()
