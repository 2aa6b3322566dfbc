"""Parts on a Ray cluster of two worker processes: the tables are those of the thread pool, even when one of the processes is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prefect import flow

from coemogen_core.lab.corpora import write_paintings, write_photos
from flows.build_emoart import build_emoart
from flows.execution import RayExecution, parts_side_by_side, ray_cluster
from flows.params import BuildEmoartParams, load_params
from flows.stages import Stages
from tasks.ingest import ingest_part_task
from tests.flows.chain import start_command

pytest.importorskip("ray", reason="the extra `ray` is not installed")

PHOTOS, PAINTINGS, PART_SIZE = 160, 400, 40
TABLES = ("images", "embeddings", "emotion_scores")
DEADLINE_S = 1200


def build_on_threads(world: Path, workspace: Path) -> None:
    """build-emoart with as little as possible behind the scores."""
    values = {
        "workspace": str(workspace),
        "source": {"name": "wikiart", "layout": "wikiart", "root": str(world / "paintings")},
        "labelled_source": "emoset",
        "labelled_set": {"name": "emoset", "layout": "emoset", "root": str(world / "photos")},
        "part_size": PART_SIZE,
        "min_confidence": 0.9,
        "probe": {"max_iterations": 20},
    }
    build_emoart(load_params("lab", BuildEmoartParams, values))


def start_on_ray(world: Path, workspace: Path, api: str) -> subprocess.Popen[str]:
    """The same on a cluster, in a process of its own."""
    arguments = ["build-emoart", world / "paintings", "--labelled-root", world / "photos", "--workspace", workspace]
    settings = [f"part_size={PART_SIZE}", "min_confidence=0.9", "probe.max_iterations=20", "execution.runner=ray", "execution.workers=2"]
    return start_command(api, *arguments, *[part for setting in settings for part in ("--set", setting)])


def finish(process: subprocess.Popen[str]) -> None:
    said = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 0, said


def busy_workers(process: psutil.Process) -> list[psutil.Process]:
    """Ray's worker processes that embed a part at this moment: Ray writes the task's name into the process's title."""
    found = []
    for child in process.children(recursive=True):
        try:
            title = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::embed part"):
            found.append(child)
    return found


def kill_while_it_embeds(process: subprocess.Popen[str], workspace: Path) -> int:
    flow = psutil.Process(process.pid)
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before a worker could be killed"
        workers = busy_workers(flow)
        if workers and list(workspace.glob("embeddings/wikiart/*/*.parquet")):
            os.kill(workers[0].pid, signal.SIGKILL)
            return workers[0].pid
        time.sleep(0.01)
    raise AssertionError("no worker was seen at work")


def files(workspace: Path) -> dict[Path, bytes]:
    found = {path.relative_to(workspace): path.read_bytes() for table in TABLES for path in (workspace / table).rglob("*.parquet")}
    assert {path.parts[0] for path in found} == set(TABLES)
    return found


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_make_the_tables_of_the_thread_pool(tmp_path: Path, prefect_server: str) -> None:
    write_photos(tmp_path / "photos", PHOTOS, 3)
    write_paintings(tmp_path / "paintings", PAINTINGS, 4)
    build_on_threads(tmp_path, tmp_path / "threads")

    process = start_on_ray(tmp_path, tmp_path / "ray", prefect_server)
    killed = kill_while_it_embeds(process, tmp_path / "ray")
    finish(process)
    assert not psutil.pid_exists(killed) or psutil.Process(killed).status() == psutil.STATUS_ZOMBIE
    expected = files(tmp_path / "threads")
    scored, ingested = ([path for path in expected if path.parts[:2] == (table, "wikiart")] for table in ("emotion_scores", "images"))
    assert len(scored) == len([path for path in ingested if path.suffix == ".parquet"]) >= PAINTINGS / PART_SIZE
    assert files(tmp_path / "ray") == expected


def test_what_ray_cannot_do_is_refused_in_the_parameters() -> None:
    with pytest.raises(ValueError, match="workers"):
        RayExecution(runner="ray", workers=0)


@pytest.mark.parametrize(
    ("takes", "side_by_side"),
    [({}, 8), ({"cpus_per_part": 3}, 2), ({"gpus_per_part": 0.25}, 8), ({"gpus_per_part": 1}, 2), ({"cpus_per_part": 9}, 1)],
)
def test_as_many_parts_as_the_cluster_has_room_for(monkeypatch: pytest.MonkeyPatch, takes: dict[str, float], side_by_side: int) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0, "memory": 1e9})
    assert parts_side_by_side(RayExecution(runner="ray", **takes)) == side_by_side


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coemogen\[ray\]'"), ray_cluster(RayExecution(runner="ray")):
        pass


@pytest.mark.usefixtures("prefect_server")
def test_a_flow_without_ray_says_so_before_a_part_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)

    @flow
    def sends() -> None:
        with Stages("build-emoset", str(tmp_path), "emoset", RayExecution(runner="ray")) as stages:
            stages.each_part("ingest", ingest_part_task, ["part-00000"], source="emoset")

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coemogen\[ray\]'"):
        sends()
