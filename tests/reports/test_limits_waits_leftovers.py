"""Limits that were too narrow, waits that nobody saw, leftovers that stayed, and wrong settings that ran as if right."""

import fcntl
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from werkzeug import Response

from coemogen_core.captioning.backend import EndpointUnreachableError
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe
from coemogen_core.curation.selection import Selection
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.readers import parquet_file
from coemogen_core.storage.whole_file import write_atomically, written_whole
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.checkpoint import CheckpointFolder
from coemogen_core.training.recipes import TrainingRecipe
from flows.command_line.options import flow_params, nested
from flows.params import BuildEmosetParams, load_params
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL
from tests.coemogen_core.data.archives import parquet
from tests.coemogen_core.data.pictures import encode
from tests.coemogen_core.data.sources import put

ROOT = Path(__file__).parents[2]


class TestRowGroups:
    def test_a_large_group_is_streamed(self, workspace, tmp_path, monkeypatch):
        """As pandas and pyarrow write it: up to 1,024 rows in one group, and in one page."""
        noise = np.random.default_rng(0)
        pictures = [encode_noise(noise) for _ in range(60)]
        whole = sum(map(len, pictures))
        monkeypatch.setattr(parquet_file, "MAX_INFLATED_BYTES", whole // 3)
        put(str(tmp_path / "source"), "a.parquet", parquet({"image": pictures, "label": ["awe"] * 60}, row_group_size=1000))
        (part,) = plan_source(workspace, "photos", "hf_parquet", str(tmp_path / "source"))
        outcome = ingest_part(workspace, "photos", part)
        assert (outcome.rows, outcome.dropped) == (60, 0)

    def test_one_page_beyond_the_bound_is_refused(self, workspace, tmp_path, monkeypatch):
        noise = np.random.default_rng(0)
        monkeypatch.setattr(parquet_file, "MAX_PAGE_BYTES", 2**17)
        table = parquet({"image": [encode_noise(noise) for _ in range(20)]}, data_page_size=2**24, use_dictionary=False)
        put(str(tmp_path / "source"), "a.parquet", table)
        put(str(tmp_path / "source"), "b.parquet", parquet({"image": [jpeg(1)]}))
        parts = plan_source(workspace, "photos", "hf_parquet", str(tmp_path / "source"))
        outcomes = [ingest_part(workspace, "photos", part) for part in parts]
        assert (sum(each.rows for each in outcomes), sum(each.dropped for each in outcomes)) == (1, 20)
        assert set(workspace.table("rejected", "photos").read()["reason"]) == {"page too large"}


def encode_noise(noise: np.random.Generator) -> bytes:
    from PIL import Image

    return encode(Image.fromarray(noise.integers(0, 256, (80, 80, 3), dtype=np.uint8)), "PNG")


class TestAServerThatIsAway:
    def settings(self, port: int, patience_s: float) -> ServerSettings:
        return ServerSettings(endpoints=(f"http://127.0.0.1:{port}/v1",), patience_s=patience_s)

    def test_who_waits_is_told_for_whom_and_how_long(self, workspace, caplog):
        wanted = write_images(workspace, [jpeg(1)])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        caplog.set_level(logging.WARNING)
        with pytest.raises(EndpointUnreachableError, match=f"127.0.0.1:{port}.* for 0.5 s"):
            caption_part(workspace, SOURCE, PART, wanted, CaptionRecipe(model=MODEL), self.settings(port, 0.5))
        (line,) = [record.getMessage() for record in caplog.records if "no captioner answers" in record.getMessage()]
        assert f"http://127.0.0.1:{port}/v1" in line
        assert "waiting for up to 0.5 s" in line

    def test_one_that_accepts_and_never_answers_is_away_too(self, workspace, caplog, monkeypatch):
        monkeypatch.setattr("coemogen_core.captioning.server.endpoint.PROBE_TIMEOUT_S", 0.5)
        wanted = write_images(workspace, [jpeg(1)])
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(EndpointUnreachableError, match="for 1 s"):
                caption_part(workspace, SOURCE, PART, wanted, CaptionRecipe(model=MODEL), self.settings(silent.getsockname()[1], 1))
        assert "no captioner answers" in caplog.text
        assert "()" not in caplog.text  # why is said, whatever class the error has

    @pytest.mark.parametrize(
        ("busy", "words"),
        [
            (lambda: time.sleep(1.5), "1 requests are on their way, each is waited for up to 120 s"),
            (lambda: Response("slow down", 429, {"Retry-After": "1"}), r"asked to be left alone for another 1 s; .*HTTP 429 slow down"),
        ],
        ids=["hangs", "turns away"],
    )
    def test_one_that_lists_its_models_and_gives_no_captions_is_named(self, workspace, stub, caplog, monkeypatch, busy, words):
        monkeypatch.setattr("coemogen_core.captioning.server.silence.FIRST_SAID_S", 0.3)
        monkeypatch.setattr("coemogen_core.captioning.server.silence.LOOK_S", 0.1)
        wanted = write_images(workspace, [jpeg(1)])
        stub.misbehave = lambda image_id, number: busy() if number == 1 else None
        assert caption_part(workspace, SOURCE, PART, wanted, CaptionRecipe(model=MODEL), ServerSettings(endpoints=(stub.endpoint,)))
        lines = [record.getMessage() for record in caplog.records if "has given no caption" in record.getMessage()]
        assert stub.endpoint in lines[0]
        assert re.search(words, lines[0])
        assert len(lines) < 3  # no flood


STUBBORN = {
    "a thread that computes": "threading.Thread(target=lambda: [sum(range(10**6)) for _ in range(10**5)]).start(); wait()",
    "a call that lets no other thread run": "threading.Thread(target=lambda: [sum(range(10**7)) for _ in range(10**5)]).start(); wait()",
    "a finalizer": "class A:\n    def __del__(self): wait()\na = A()\ndel a\nwait()",
    "a handler of its own": "signal.signal(signal.SIGTERM, lambda *_: None); signal.signal(signal.SIGINT, lambda *_: None); wait()",
    "a join that never ends": "blocked = threading.Thread(target=wait); blocked.start(); blocked.join()",
    "a child": "subprocess.Popen(['sleep', '600']); wait()",
    "an exception that is caught": "while True:\n    try:\n        wait()\n    except BaseException:\n        pass",
}


class TestSignals:
    """Processes that would not end by themselves."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("what", STUBBORN)
    def test_a_command_ends_soon_whatever_it_does(self, what, number):
        code = (
            "import signal, subprocess, threading, time\nfrom flows.command_line.signals import end_soon_after_a_signal\n"
            "end_soon_after_a_signal(grace_s=0.5)\nwait = threading.Event().wait\nprint('ready', flush=True)\n" + STUBBORN[what]
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code], **pipes, text=True, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.1)
            process.send_signal(number)
            assert process.wait(120) != 0
            out, said = process.communicate(timeout=60)
            assert out == ""  # children that hold it are gone
            assert "Exception ignored" not in said
            if what in ("a handler of its own", "an exception that is caught") or (what, number) == (
                "a finalizer",
                signal.SIGTERM,
            ):  # nothing else has a word to say
                assert said == f"ended by {number.name}; the same command goes on where it stopped\n"

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_after_the_work_is_no_traceback(self, number):
        """Libraries clean up while the process exits; Prefect waits seconds for its temporary server."""
        code = (
            "import atexit, signal, subprocess, time\nfrom flows.command_line.signals import *\nend_soon_after_a_signal()\n"
            "atexit.register(lambda: (print('ready', flush=True), time.sleep(60)))\nsubprocess.Popen(['sleep', '600'])\n"
            "print('result')\nend_at_once_after_a_signal()"
        )
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes) as process:
            assert [process.stdout.readline(), process.stdout.readline()] == ["result\n", "ready\n"]
            process.send_signal(number)
            assert process.communicate(timeout=60) == ("", "")
            assert process.returncode == 128 + number

    def test_a_second_signal_does_not_wait(self):
        code = (
            "import signal, threading\nfrom flows.command_line.signals import end_soon_after_a_signal\n"
            "end_soon_after_a_signal(grace_s=600)\nsignal.signal(signal.SIGTERM, lambda *_: print('heard', flush=True))\n"
            "print('ready', flush=True)\nwhile True:\n    threading.Event().wait()"
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.terminate()
            assert process.stdout.readline() == "heard\n"
            process.terminate()
            assert process.wait(120) == 128 + signal.SIGTERM


class TestLeftovers:
    def test_what_a_killed_writer_left_is_taken_over(self, tmp_path):
        target = tmp_path / "step-000500.safetensors"
        code = (
            "import os, signal\nfrom coemogen_core.storage.whole_file import written_whole\n"
            f"with written_whole({str(target)!r}) as file:\n    file.write(bytes(10**6))\n    file.flush()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)"
        )
        for _ in range(3):
            killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
            assert killed.returncode == -signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 1  # not one for each
        write_atomically(str(target), b"whole")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {target.name: b"whole"}

    def test_a_training_that_starts_again_removes_what_the_killed_one_left(self, tmp_path):
        folder = tmp_path / "runs" / "train-1" / "checkpoints"
        folder.mkdir(parents=True)
        for step in (17, 23):  # where a signal came, so that no later step has the name
            (folder / f".step-{step:09d}.safetensors.tmp").write_bytes(bytes(1000))
        with written_whole(str(folder / "step-000000030.safetensors")) as busy:
            busy.write(b"half")
            assert CheckpointFolder(Workspace(str(tmp_path)), "train-1", keep=2).newest() is None
            assert [path.name for path in folder.iterdir()] == [".step-000000030.safetensors.tmp"]

    def test_two_live_writers_do_not_share_a_file(self, tmp_path):
        target = tmp_path / "part.parquet"
        with written_whole(str(target)) as first:
            first.write(b"first")
            write_atomically(str(target), b"second")
            assert target.read_bytes() == b"second"
        assert target.read_bytes() == b"first"
        assert [path.name for path in tmp_path.iterdir()] == ["part.parquet"]

    def test_a_writer_that_failed_leaves_nothing(self, tmp_path):
        def fail() -> None:
            with written_whole(str(tmp_path / "part.parquet")) as file:
                file.write(b"half")
                raise KeyError("mine")

        with pytest.raises(KeyError):
            fail()
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_locks_nothing_is_written_all_the_same(self, tmp_path, monkeypatch):
        def unsupported(*_):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", unsupported)
        write_atomically(str(tmp_path / "part.parquet"), b"whole")
        assert (tmp_path / "part.parquet").read_bytes() == b"whole"

    def test_a_lock_of_somebody_else_is_respected(self, tmp_path):
        busy = tmp_path / ".part.parquet.tmp"
        with busy.open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            held.write(b"somebody is writing")
            held.flush()
            write_atomically(str(tmp_path / "part.parquet"), b"ours")
            assert busy.read_bytes() == b"somebody is writing"
        assert (tmp_path / "part.parquet").read_bytes() == b"ours"


SOURCE_VALUES = {"workspace": "w", "source": {"name": "emoset", "layout": "emoset", "root": "photos"}}


class TestSettings:
    @pytest.mark.parametrize("setting", ["part_size=1e3", "part_size=true", "part_size='10'", "caption.max_new_tokens=64.0", "encoder={}"])
    def test_what_would_run_as_if_right_is_refused(self, setting):
        with pytest.raises((ValidationError, ValueError), match=setting.partition("=")[0].rpartition(".")[2]):
            load_params("lab", BuildEmosetParams, SOURCE_VALUES | nested([setting]))

    def test_what_may_be_none_is_made_with_its_defaults(self):
        assert flow_params("lab", BuildEmosetParams, SOURCE_VALUES, ["near_duplicates={}"]).near_duplicates == NearDuplicateRecipe()
        for twice in (["encoder={}"], ["near_duplicates={}", "near_duplicates.max_distance=0.1"]):
            with pytest.raises(ValueError, match=f"{twice[0]}' sets nothing"):
                flow_params("lab", BuildEmosetParams, SOURCE_VALUES, twice)

    @pytest.mark.parametrize("value", [float("inf"), float("nan"), "0.1", True])
    def test_a_learning_rate_is_a_number(self, value):
        with pytest.raises(ValidationError, match="learning_rate"):
            TrainingRecipe.model_validate({"learning_rate": value})

    def test_an_emotion_is_named_once(self):
        with pytest.raises(ValidationError, match="awe stands there more than once"):
            Selection(emotions=("awe", "fear", "awe"))

    @pytest.mark.parametrize("url", ["http://", "http:///v1", "http://host:99999/v1", "http://host:x/v1", "http://a b/v1", "ftp://host/v1"])
    def test_an_endpoint_is_an_address(self, url):
        with pytest.raises(ValidationError, match="no address of a server"):
            ServerSettings(endpoints=(url,))

    def test_a_slash_makes_no_second_endpoint(self):
        with pytest.raises(ValidationError, match="more than once"):
            ServerSettings(endpoints=("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/"))

    @pytest.mark.parametrize("name", ["", "A KEY", "1KEY"])
    def test_a_key_has_a_variable(self, name):
        with pytest.raises(ValidationError, match="api_key_variable"):
            ServerSettings(api_key_variable=name)

    def test_an_endpoint_is_named_once(self):
        with pytest.raises(ValidationError, match="more than once"):
            ServerSettings(endpoints=("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"))

    @pytest.mark.parametrize("word", ["null", " null "])
    def test_null_is_none(self, word):
        assert nested([f"train_splits={word}", "near_duplicates.x=1"]) == {"train_splits": None, "near_duplicates": {"x": 1}}
        assert nested(["name='null'", "recipe=none"]) == {"name": "null", "recipe": "none"}
