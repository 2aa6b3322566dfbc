"""Captioning against a real HTTP server that misbehaves on purpose."""

import random
import threading
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.journal import Journal, journal_path
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Captions
from tests.coemogen_core.captioning.client_process import start_captioning
from tests.coemogen_core.captioning.corpus import PART, SOURCE, captions, jpeg, write_images
from tests.coemogen_core.captioning.server.server_process import UnrulyProcess, answered
from tests.coemogen_core.captioning.server.unruly_server import MODEL

RECIPE = CaptionRecipe(model=MODEL)
RECIPE_ID = RECIPE.recipe_id("server")


def settings(*servers: UnrulyProcess, **changed) -> ServerSettings:
    return ServerSettings(endpoints=tuple(server.endpoint for server in servers), **({"concurrency": 16} | changed))


def settle(workspace: Workspace, wanted: pl.DataFrame, chosen: ServerSettings, runs: int = 5) -> int:
    """Run until nothing is left to do; returns the number of runs that did something."""
    for number in range(runs):
        if caption_part(workspace, SOURCE, PART, wanted, RECIPE, chosen).reused:
            return number
    raise AssertionError(f"still busy after {runs} runs")


def assert_each_picture_is_settled(workspace: Workspace, wanted: pl.DataFrame) -> pl.DataFrame:
    """Exactly one caption or none but failures for each picture, with the right words; returns the rows."""
    rows = workspace.table("captions", SOURCE).read()
    Captions.validate(rows)  # also: no attempt stands there twice
    assert set(rows["image_id"]) == set(wanted["image_id"])
    captioned = rows.filter(pl.col("caption").is_not_null())
    assert captioned["image_id"].is_unique().all()
    for image_id, caption, emotion in captioned.select("image_id", "caption", "emotion_prior").iter_rows():
        assert caption == f"A scene numbered {int(image_id[:8], 16)} full of {emotion}."
    return rows


FAULTS = {
    "errors and rate limits, with Retry-After": {"500": 0.15, "429": 0.15},
    "an overloaded proxy": {"503": 0.3},
    "connections closed without a word": {"reset": 0.2},
    "connections cut in mid-answer": {"cut": 0.2},
    "fewer bytes than announced": {"other_length": 0.2},
    "answers that are not JSON": {"not_json": 0.2},
    "completions without a choice, and with two": {"no_choice": 0.1, "two_choices": 0.1},
    "everything at once": {"500": 0.06, "429": 0.06, "503": 0.04, "reset": 0.04, "cut": 0.04, "not_json": 0.04, "no_choice": 0.02},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_costs_no_caption(workspace, fault):
    wanted = write_images(workspace, [jpeg(index) for index in range(150)])
    with UnrulyProcess(shares=FAULTS[fault], delay_s=0.01) as server:
        settle(workspace, wanted, settings(server, max_retries=20))
    rows = assert_each_picture_is_settled(workspace, wanted)
    assert rows["error"].null_count() == rows.height == 150


def test_a_key_arrives_at_both_endpoints_whatever_fails(workspace, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "ours")
    wanted = write_images(workspace, [jpeg(index) for index in range(150)])
    faults = {"shares": FAULTS["everything at once"], "delay_s": 0.01, "key": "ours"}  # one request without the key would end the run
    with UnrulyProcess(**faults) as server, UnrulyProcess(**faults, seed=1) as other:
        settle(workspace, wanted, settings(server, other, max_retries=20))
    rows = assert_each_picture_is_settled(workspace, wanted)
    assert rows["error"].null_count() == rows.height == 150


def test_with_few_retries_what_failed_is_recorded_and_mended_by_later_runs(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(150)])
    with UnrulyProcess(shares={"500": 0.3}, delay_s=0.01, log=str(Path(workspace.uri).parent / "log")) as server:
        assert settle(workspace, wanted, settings(server, max_retries=0, max_attempts=20), runs=21) > 1
    rows = assert_each_picture_is_settled(workspace, wanted)
    assert rows["error"].drop_nulls().unique().to_list() == ["server: HTTP 500 as told"]
    assert rows["caption"].count() == 150
    assert set(answered(Path(workspace.uri).parent / "log").values()) == {1}  # none that was answered was asked again


def test_sockets_that_hang_are_left_and_asked_again(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(60)])
    with UnrulyProcess(shares={"hang": 0.1}) as server:
        settle(workspace, wanted, settings(server, timeout_s=1.0, max_retries=20))
    assert assert_each_picture_is_settled(workspace, wanted)["caption"].count() == 60


def test_answers_that_are_cut_off_are_no_captions_and_a_greedy_model_is_not_asked_again(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(40)])
    with UnrulyProcess(shares={"cut_off": 0.5}) as server:
        assert settle(workspace, wanted, settings(server)) == 1
    errors = Counter(str(error).split(" (")[0] for error in assert_each_picture_is_settled(workspace, wanted)["error"])
    assert set(errors) == {"None", "rejected: cut off at max_new_tokens"}


def test_requests_in_flight_settle_where_the_server_can_take_them(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(300)])
    with UnrulyProcess(capacity=8, delay_s=0.02) as server:
        settle(workspace, wanted, settings(server, concurrency=256))
    assert assert_each_picture_is_settled(workspace, wanted)["caption"].count() == 300


def test_of_two_endpoints_one_dies_and_comes_back(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(400)])
    with UnrulyProcess(delay_s=0.05) as steady, UnrulyProcess(delay_s=0.05) as mortal:

        def die_and_come_back() -> None:
            time.sleep(0.3)
            mortal.kill()
            time.sleep(0.5)
            mortal.start()

        fate = threading.Thread(target=die_and_come_back)
        fate.start()
        settle(workspace, wanted, settings(steady, mortal))
        fate.join()
    assert assert_each_picture_is_settled(workspace, wanted)["caption"].count() == 400


@pytest.mark.slow
def test_the_only_server_dies_and_is_back_after_twenty_seconds(workspace):
    wanted = write_images(workspace, [jpeg(index) for index in range(400)])
    with UnrulyProcess(delay_s=0.05, log=str(Path(workspace.uri).parent / "log")) as server:

        def die_and_come_back() -> None:
            time.sleep(0.3)
            server.kill()
            time.sleep(20)
            server.start()

        fate = threading.Thread(target=die_and_come_back)
        fate.start()
        outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, settings(server))
        fate.join()
    assert (outcome.rows, outcome.dropped) == (400, 0)
    assert assert_each_picture_is_settled(workspace, wanted).height == 400


def received(workspace: Workspace) -> set[str]:
    """Pictures whose answers a dead run had received: written, or in its journal."""
    journal = Journal(journal_path(workspace.table("captions", SOURCE).uri, PART, RECIPE_ID)).read()
    return {*read_attempts(workspace, SOURCE, PART, RECIPE_ID)["image_id"], *(image_id for image_id, *_ in journal)}


@pytest.mark.slow
def test_killed_ten_times_at_random_moments_nothing_is_lost_and_nothing_received_is_asked_again(workspace, tmp_path):
    wanted = write_images(workspace, [jpeg(index) for index in range(900)])
    wanted.write_parquet(tmp_path / "wanted.parquet")
    log, chance, concurrency = tmp_path / "log", random.Random(3), 16
    known: list[tuple[int, set[str]]] = []
    with UnrulyProcess(delay_s=0.2, log=str(log)) as server:  # so slow that it cannot come to its end in ten lives
        chosen = settings(server, concurrency=concurrency)
        for _ in range(10):
            had = len(received(workspace))
            with start_captioning(workspace, tmp_path / "wanted.parquet", RECIPE, chosen) as process:
                while len(received(workspace)) == had:  # it has begun
                    assert process.poll() is None, "captioning ended by itself before it could be killed"
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.25))
                assert process.poll() is None, "captioning ended by itself before it could be killed"
                process.kill()
            known.append((answered(log).total(), received(workspace)))
        outcome = caption_part(workspace, SOURCE, PART, wanted, RECIPE, chosen)
    assert (outcome.rows, outcome.dropped) == (900, 0)
    assert assert_each_picture_is_settled(workspace, wanted).height == 900
    assert read_attempts(workspace, SOURCE, PART, RECIPE_ID)["image_id"].to_list() == wanted["image_id"].to_list()
    for lines, pictures in known:
        assert not pictures & set(answered(log, after_line=lines))
    assert answered(log).total() - 900 <= 10 * concurrency  # all that can be lost is what was on its way
    assert not journal_path(workspace.table("captions", SOURCE).uri, PART, RECIPE_ID).exists()


def test_two_runs_at_once_ask_once_and_lose_nothing(workspace, tmp_path):
    wanted = write_images(workspace, [jpeg(index) for index in range(300)])
    wanted.write_parquet(tmp_path / "wanted.parquet")
    log = tmp_path / "log"
    with UnrulyProcess(delay_s=0.02, log=str(log)) as server:
        runs = [start_captioning(workspace, tmp_path / "wanted.parquet", RECIPE, settings(server)) for _ in range(2)]
        assert [run.wait(600) for run in runs] == [0, 0]
    assert assert_each_picture_is_settled(workspace, wanted).height == 300
    assert set(answered(log).values()) == {1}


def test_two_runs_at_once_in_a_bucket_where_nothing_locks_lose_nothing_and_double_nothing():
    workspace = Workspace("memory://two-runs-at-once")
    wanted = write_images(workspace, [jpeg(index) for index in range(300)])
    with UnrulyProcess(delay_s=0.02) as server:
        chosen = [settings(server, concurrency=number) for number in (7, 16)]  # different settings: two clients
        threads = [
            threading.Thread(target=caption_part, args=(workspace, SOURCE, PART, rows, RECIPE, each))
            for rows, each in zip((wanted, wanted.head(170)), chosen, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = assert_each_picture_is_settled(workspace, wanted)
    assert rows.select("image_id", "attempt").is_unique().all()
    assert captions(workspace).height == rows.height == 300
