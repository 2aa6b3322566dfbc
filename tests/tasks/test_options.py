"""Tasks in a run: what stood there is shown as cached, what was removed is made again, only what time mends is tried again."""

import errno
import shutil
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

import tasks
from coemogen_core.encoders.clip_encoder import EncoderRecipe
from tasks.ingest import embed_part_task, ingest_part_task, plan_source_task
from tasks.options import STORED, shown
from tests.coemogen_core.data.sources import make_wikiart

ROOT = Path(tasks.__file__).parent


@flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
def two_stages(uri: str, root: str, clip: str) -> list[list[str]]:
    """Names of the final states, stage by stage."""
    parts = plan_source_task(uri, "art", "wikiart", root, None, 2)
    ingested = [ingest_part_task.submit(uri, "art", part) for part in parts]
    [each.result() for each in ingested]
    embedded = [embed_part_task.submit(uri, "art", part, EncoderRecipe(model=clip)) for part in parts]
    [each.result() for each in embedded]
    return [[each.state.name for each in stage] for stage in (ingested, embedded)]


def test_a_part_that_stands_there_is_cached_and_one_that_was_removed_is_made_again(
    prefect_server: None, tmp_path: Path, tiny_clip: Path
) -> None:
    root, uri = make_wikiart(str(tmp_path / "art"), 5), str(tmp_path / "workspace")
    assert two_stages(uri, root, str(tiny_clip)) == [["Completed"] * 3, ["Completed"] * 3]
    assert two_stages(uri, root, str(tiny_clip)) == [["Cached"] * 3, ["Cached"] * 3]
    (embeddings,) = (tmp_path / "workspace" / "embeddings" / "art").iterdir()
    files = sorted(embeddings.glob("*.parquet"))
    before = files[1].read_bytes()
    files[1].unlink()
    assert two_stages(uri, root, str(tiny_clip)) == [["Cached"] * 3, ["Cached", "Completed", "Cached"]]
    assert files[1].read_bytes() == before
    shutil.rmtree(embeddings)
    assert two_stages(uri, root, str(tiny_clip)) == [["Cached"] * 3, ["Completed"] * 3]


@pytest.mark.parametrize(("error", "runs"), [(ConnectionResetError("reset"), 3), (OSError(errno.ENOSPC, "full"), 1), (ValueError("no"), 1)])
def test_a_task_is_tried_again_for_what_time_mends_alone(prefect_server: None, error: Exception, runs: int) -> None:
    attempts = []

    @task(**STORED | {"retries": 2, "retry_delay_seconds": 0})
    def fails() -> None:
        attempts.append(1)
        raise error

    @flow
    def once() -> None:
        fails.submit().result()

    with pytest.raises(type(error)):
        once()
    assert len(attempts) == runs


def test_outside_of_a_run_an_outcome_is_itself() -> None:
    from schemas.outcomes import PartOutcome

    outcome = PartOutcome(part="part-00000", rows=1, reused=True)
    assert shown(outcome) is outcome


def test_prefect_remembers_nothing_beside_the_workspace() -> None:
    """Every task says so by its options: no file of this folder has a task with others."""
    for file in ROOT.glob("*.py"):
        text = file.read_text()
        assert text.count("@task(") == sum(text.count(options) for options in ("**STORED)", "**PATIENT)")), file
