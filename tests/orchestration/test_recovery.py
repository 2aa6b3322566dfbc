"""What happens unattended: a schedule fires, a machine dies, the server is started anew."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from coemogen_core.recipe import merge
from coemogen_core.storage.workspace import Workspace
from flows.build_emoart import build_emoart
from flows.build_emoset import build_emoset
from flows.params import BuildEmoartParams, BuildEmosetParams
from tests.orchestration.services import ROOT, TRAIN, Services, until

pytestmark = [pytest.mark.orchestration, pytest.mark.slow]

HOLDER = """
import time
from coemogen_core.captioning.recipe import ServerSettings
from tasks.limits import captioner_slot
with captioner_slot(ServerSettings()):
    print("mine", flush=True)
    time.sleep(600)
"""
TIMES = ("asked_at", "latency_s")
TABLES = ("images", "embeddings", "emotion_scores", "alignment", "decisions", "curated")


def build(workspace: Path) -> dict[str, object]:
    return {"workspace": str(workspace), "min_confidence": 0.2, "part_size": 32}


def captions(workspace: Path, source: str) -> pl.DataFrame:
    return Workspace(str(workspace)).table("captions", source).read().drop(TIMES).sort("image_id", "attempt")


def assert_same_tables(one: Path, other: Path) -> None:
    assert captions(one, "wikiart").equals(captions(other, "wikiart"))
    files = {path.relative_to(one) for table in TABLES for path in (one / table).rglob("*.parquet")}
    assert files == {path.relative_to(other) for table in TABLES for path in (other / table).rglob("*.parquet")}
    assert len({file.parts[0] for file in files}) == len(TABLES)
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


@pytest.fixture(scope="module")
def undisturbed(services: Services, prefect_server: str) -> Path:
    """What build-emoart makes when nothing happens, with the deployment's parameters, in this process."""
    services.switch(TRAIN, enabled=False)
    workspace = services.folder.parent / "undisturbed"
    build_emoart(BuildEmoartParams.model_validate(merge(services.parameters("build-emoart/lab"), build(workspace))))
    return workspace


def test_a_worker_that_is_killed_leaves_a_marked_run_a_free_slot_and_the_same_tables(services: Services, undisturbed: Path) -> None:
    workspace = services.folder.parent / "killed"
    run_id = services.start("build-emoart/lab", build(workspace))
    until("its embeddings", lambda: list(workspace.glob("embeddings/wikiart/*/*.parquet")))
    services.kill("worker-lab")

    assert services.finished(run_id)["state_type"] == "CRASHED"
    assert "no heartbeat" in services.flow_run(run_id)["state"]["message"]
    assert not list(workspace.glob("curated/emoart/*/*/*.parquet"))

    assert "worker of pool lab" in services.serve()
    services.completed("build-emoart/lab", build(workspace))  # one run at a time: it would wait for the dead one's slot
    assert_same_tables(undisturbed, workspace)


def test_a_server_that_is_started_anew_in_the_middle_of_a_run_loses_nothing(services: Services, undisturbed: Path) -> None:
    workspace = services.folder.parent / "restarted"
    run_id = services.start("build-emoart/lab", build(workspace))
    until("its first parts", lambda: list(workspace.glob("images/*/*.parquet")))
    services.kill("server")
    services.serve()

    assert services.finished(run_id)["state_type"] == "COMPLETED"
    assert_same_tables(undisturbed, workspace)
    services.completed("build-emoart/lab", build(workspace))  # one run at a time: the run's slot outlived the server, and is free now

    def states() -> set[str]:  # of tasks: events, which may come after the end of their run
        return {each["state_name"] for each in services.task_runs_of("build-emoart/lab") if each["name"].startswith("embed")}

    until("tasks that have nothing to do", lambda: states() == {"Cached"})


def test_a_machine_that_starts_anew_marks_what_it_lost_frees_its_slots_and_goes_on(services: Services, undisturbed: Path) -> None:
    """Both the run and a task that holds a slot of the limit `captioner` die with the server."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], env=services.variables, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mine\n"
    assert services.limit("captioner")["active_slots"] == 1  # the holder renews its lease
    workspace = services.folder.parent / "rebooted"
    run_id = services.start("build-emoart/lab", build(workspace))
    until("its embeddings", lambda: list(workspace.glob("embeddings/wikiart/*/*.parquet")))
    services.kill("worker-lab")
    services.kill("server")
    holder.kill()
    holder.communicate()
    assert services.command("revive", "--folder", services.folder) == "started again: server, worker-lab\n"

    assert services.finished(run_id)["state_type"] == "CRASHED"
    until("the slot to be free", lambda: services.limit("captioner")["active_slots"] == 0)
    services.completed("build-emoart/lab", build(workspace))
    assert_same_tables(undisturbed, workspace)


def test_the_schedule_of_recaption_fires_by_itself(services: Services, prefect_server: str) -> None:
    build_emoset(BuildEmosetParams.model_validate(services.parameters("build-emoset/lab")))
    deployment = services.deployment("recaption/lab")
    (nightly,) = deployment["schedules"]
    assert nightly["active"] is False
    assert nightly["schedule"] == {"cron": "0 2 * * *", "timezone": "UTC", "day_or": True}
    assert services.runs_of("recaption/lab") == []

    every_minute = [{"schedule": {"cron": "* * * * *", "timezone": "UTC"}, "active": True}]
    services.post(f"deployments/{deployment['id']}/schedules", every_minute)

    def done() -> list[dict[str, object]]:
        return [each for each in services.runs_of("recaption/lab") if each["auto_scheduled"] and each["state_type"] == "COMPLETED"]

    run = until("a run that nobody asked for", done)[0]
    assert run["created_by"]["type"] == "SCHEDULE"
    assert list(Path(services.workspace).glob("decisions/emoset/*"))
