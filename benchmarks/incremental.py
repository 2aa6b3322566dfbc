"""What is computed again after a change of a source: rows captioned, embedded, scored, aligned and featurised, and what was not to be.

    .venv/bin/python benchmarks/incremental.py --json incremental.json

A folder of lab pictures is built once with all stages; then, each time from there: new files spread over the names, removed, renamed and
rewritten ones, the folder moved, another part size, a second source that shares half its pictures, and a Hugging Face table with its rows
in another order. What counts is what arrives: pictures that the model is given, requests that reach the captioning server. After each
change the tables, read by id, are compared with those of a fresh build of the same files in a fresh workspace: all values, byte for byte.
"""

import argparse
import logging
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from child_process import ROOT
from results_table import Row, report, row

from coemogen_core.storage.workspace import Workspace

sys.path.append(str(ROOT))  # the tests are no installed package
from tests.coemogen_core.captioning.stub_server import StubServer
from tests.growing_source import (
    STAGES,
    Build,
    Change,
    Made,
    changes,
    counted,
    different_tables,
    labelled_set,
    never_kept,
    new_source,
    training_rows,
)


def main() -> None:
    """Build, change, build again; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--only", help="changes whose names contain this")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows: list[Row] = []
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    with tempfile.TemporaryDirectory(prefix="incremental-") as folder, StubServer() as stub:
        base = new_source(Path(folder), chosen.pictures, stub.endpoint)
        classifier_id = labelled_set(base).classifier()
        with counted(stub) as first:
            began = time.perf_counter()
            before = base.run(classifier_id)
            seconds = time.perf_counter() - began
        print(f"first build: {dict(first)}, {seconds:.0f} s", flush=True)
        for number, change in enumerate(changes(chosen.pictures)):
            if chosen.only is None or chosen.only in change.name:
                rows += _measured(base, change, number, classifier_id, before, stub)
    report(rows, chosen.json)


def _measured(base: Build, change: Change, number: int, classifier_id: str, before: Made, stub: Any) -> list[Row]:
    """Rows computed by each stage after a change, whether all tables are those of a fresh build, and parts that are new."""
    place = base.root.parent / f"change-{number}"
    shutil.copytree(base.root, place / base.root.name)
    shutil.copytree(base.workspace.uri, place / "workspace")
    build = replace(base, workspace=Workspace(str(place / "workspace")), root=place / base.root.name)
    build = change.apply(build, np.random.default_rng(number))
    with counted(stub) as computed:
        began = time.perf_counter()
        after = build.run(classifier_id)
        seconds = time.perf_counter() - began
    fresh = replace(build, workspace=Workspace(str(place / "fresh")))
    assert labelled_set(fresh, base).classifier() == classifier_id
    differing = different_tables(build, after, fresh, fresh.run(classifier_id), classifier_id)
    print(f"{change.name}: {dict(computed)}, differing: {differing or 'none'}, {seconds:.0f} s", flush=True)
    new = dict.fromkeys(STAGES, change.new) | {"featurised": never_kept(build, after, base, before)}  # only what is kept has features
    rows = [
        row(f"{change.name}: {stage}", "pictures", computed[stage], None, 1.1 * new[stage], computed[stage] <= 1.1 * new[stage])
        for stage in STAGES
    ]
    rows.append(row(f"{change.name}: tables that differ from a fresh build", "tables", len(differing), None, 0, not differing))
    rows.append(row(f"{change.name}: parts that are new", "parts", len(set(after[0]) - set(before[0])), len(after[0]), None, None))
    if change.new == 0 and "removed" not in change.name and build.source == base.source:
        same = training_rows(build, after) == training_rows(base, before)
        rows.append(row(f"{change.name}: trainings that start anew", "trainings", int(not same), None, 0, same))
    shutil.rmtree(place)
    return rows


if __name__ == "__main__":
    main()
