"""After a change of a source only new pictures are computed, and all tables are those of a fresh build."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.captioning.stub_server import StubServer
from tests.growing_source import (
    STAGES,
    Build,
    Made,
    changes,
    counted,
    different_tables,
    labelled_set,
    never_kept,
    new_source,
    training_rows,
)

PICTURES, PART_SIZE = 48, 10
CHANGES = {change.name: change for change in changes(PICTURES)}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stub():
    with StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def built(tmp_path_factory, stub) -> tuple[Build, str, Made]:
    """A source with all its tables, the classifier that scored it, and what was made."""
    base = new_source(tmp_path_factory.mktemp("growing"), PICTURES, stub.endpoint, PART_SIZE, labelled=48)
    classifier_id = labelled_set(base).classifier()
    return base, classifier_id, base.run(classifier_id)


def copied(base: Build, place: Path) -> Build:
    shutil.copytree(base.root.parent, place, dirs_exist_ok=True)
    return replace(base, workspace=Workspace(str(place / "workspace")), root=place / base.root.name)


def fresh_build(build: Build, place: Path, classifier_id: str) -> tuple[Build, Made]:
    fresh = replace(build, workspace=Workspace(str(place / "fresh")))
    assert labelled_set(fresh, build).classifier() == classifier_id
    return fresh, fresh.run(classifier_id)


@pytest.mark.parametrize("name", CHANGES)
def test_only_what_is_new_is_computed(built, stub, tmp_path, name):
    base, classifier_id, before = built
    change = CHANGES[name]
    build = change.apply(copied(base, tmp_path), np.random.default_rng(1))
    with counted(stub) as computed:
        after = build.run(classifier_id)
    featurised = never_kept(build, after, base, before)
    assert {stage: computed[stage] for stage in STAGES if computed[stage]} == {
        stage: count for stage, count in (dict.fromkeys(STAGES, change.new) | {"featurised": featurised}).items() if count
    }
    fresh, made = fresh_build(build, tmp_path, classifier_id)
    assert different_tables(build, after, fresh, made, classifier_id) == []
    if change.new == 0 and name != "1 % removed" and build.source == base.source:
        assert training_rows(build, after) == training_rows(base, before)
    with counted(stub) as again:
        assert build.run(classifier_id) == after
    assert not any(again.values())


def test_what_went_is_gone_and_costs_nothing_when_it_comes_back(built, stub, tmp_path):
    base, classifier_id, before = built
    build = copied(base, tmp_path)
    away = sorted(build.root.rglob("*.jpg"))[::6]
    shelf = {file: file.rename(tmp_path / f"{number}.jpg") for number, file in enumerate(away)}
    parts, version, _ = build.run(classifier_id)
    images = build.workspace.table("images", build.source)
    assert images.parts() == sorted(parts)
    assert images.count() == PICTURES - len(away)
    decided = set(build.workspace.table("decisions", build.source, version).read()["image_id"])
    assert decided == set(images.read(["image_id"])["image_id"])
    for file, shelved in shelf.items():
        shelved.rename(file)
    with counted(stub) as computed:
        after = build.run(classifier_id)
    assert not any(computed.values())
    assert training_rows(build, after) == training_rows(base, before)
    assert different_tables(build, after, base, before, classifier_id) == []


@pytest.mark.parametrize("chunk", range(3))
def test_a_kill_amid_an_incremental_run_changes_no_table(built, stub, tmp_path, chunk):
    base, classifier_id, _ = built
    build = CHANGES["second source, half shared"].apply(copied(base, tmp_path), np.random.default_rng(2))
    run = [sys.executable, "-m", "tests.growing_source", build.workspace.uri, str(build.root), stub.endpoint, build.source, classifier_id]
    alike = os.environ | {"OMP_NUM_THREADS": "1"}  # as in the tests: convolutions sum in another order with more threads
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=alike)
    try:
        marks = ("images", "captions", "features")[chunk]
        deadline = time.monotonic() + 120
        while process.poll() is None and not list(Path(build.workspace.uri, marks, "second").rglob("part-*")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    after = build.run(classifier_id)
    fresh, made = fresh_build(build, tmp_path, classifier_id)
    assert different_tables(build, after, fresh, made, classifier_id) == []
