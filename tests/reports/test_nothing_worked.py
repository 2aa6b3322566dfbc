"""A run in which every item failed does not end well: exit code 2, the commonest reason in the last line, nothing behind it starts."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from werkzeug import Response

from coemogen_core.lab.corpora import write_photos
from coemogen_core.storage.workspace import Workspace
from flows.command_line import main
from tests.coemogen_core.captioning.stub_server import MODEL, StubServer, completion, refusal
from tests.coemogen_core.data.pictures import jpeg
from tests.coemogen_core.data.sources import put

pytestmark = pytest.mark.usefixtures("prefect_server")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """A command as the shell starts it; its exit code and the last line that it said."""
    monkeypatch.setattr("flows.command_line.front.prepare_environment", lambda **_: None)
    logging.disable(logging.CRITICAL)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["coemogen", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), capsys.readouterr().err.splitlines()[-1]
        return 0, capsys.readouterr().err.splitlines()[-1]

    yield call
    logging.disable(logging.NOTSET)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 24, 1)


@pytest.fixture
def captioned(stub: StubServer, tiny_clip: Path, tmp_path: Path) -> list[object]:
    """The arguments that make a command ask the stub for captions."""
    settings = [
        f"encoder.model={tiny_clip}",
        f"caption.model={MODEL}",
        "captioner.backend=server",
        f"captioner.endpoints=['{stub.endpoint}']",
    ]
    return ["--workspace", tmp_path / "w", *(part for each in [*settings, "captioner.max_retries=0"] for part in ("--set", each))]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(400, "maximum context length is 400 tokens"), "maximum context length is 400 tokens"),
        (refusal(500, "CUDA error: out of memory"), "not one of 24 pictures of 'emoset' got a caption: 24 server: HTTP 500 CUDA error"),
        (completion("I'm sorry, I can't help with that."), "24 rejected: refusal"),
        (completion("<think>A dog"), "24 malformed: reasoning without an end"),
    ],
)
def test_all_captions_failed(run, photos, captioned, stub, tmp_path, answer, words):
    stub.misbehave = lambda image_id, number: answer
    code, said = run("build-emoset", photos, *captioned)
    assert code == 2
    assert words in said
    assert not Workspace(str(tmp_path / "w")).exists("decisions")
    stub.reset()
    if "rejected" not in words:  # a greedy model would say the same again
        assert run("build-emoset", photos, *captioned)[0] == 0


def test_who_was_asked_often_enough_is_asked_again_on_request(run, photos, captioned, stub):
    stub.misbehave = lambda image_id, number: refusal(500, "CUDA error: out of memory")
    few = [*captioned, "--set", "captioner.max_attempts=2"]
    assert [run("build-emoset", photos, *few)[0] for _ in range(2)] == [2, 2]
    stub.reset()
    code, said = run("build-emoset", photos, *few)
    assert (code, sum(stub.requests.values())) == (2, 0)
    assert "CUDA error: out of memory; none was asked in this run" in said
    assert "`--set captioner.max_attempts=N`" in said
    assert run("build-emoset", photos, *captioned)[0] == 0


def test_what_a_part_of_the_captions_failed_with_is_said(run, photos, captioned, stub, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr("flows.corpus_stages.say", lambda line, *mark: lines.append(line))
    odd: list[str] = []

    def refuse_the_first(image_id: str, number: int) -> Response | None:
        odd[:] = odd or [image_id]
        return refusal(400, "this picture is too odd") if image_id in odd else None

    stub.misbehave = refuse_the_first
    assert run("build-emoset", photos, *captioned)[0] == 0
    assert "1 pictures of 'emoset' have no caption: 1 refused: HTTP 400 this picture is too odd" in lines


def test_recaption_in_which_all_failed(run, photos, captioned, stub, tmp_path):
    assert run("build-emoset", photos, *captioned)[0] == 0
    before = Workspace(str(tmp_path / "w")).read_json("decisions", "emoset", "current.json")
    stub.misbehave = lambda image_id, number: refusal(500, "no room left")
    again = ["--set", "reasons.lowest_alignment=0.9", "--set", "caption.seed=5", "--set", "caption.temperature=0.5"]
    code, said = run("recaption", *captioned, *again)
    assert (code, "got a caption: " in said, "HTTP 500 no room left" in said) == (2, True, True)
    assert Workspace(str(tmp_path / "w")).read_json("decisions", "emoset", "current.json") == before


def test_no_picture_has_a_label(run, captioned, stub, tmp_path):
    for number in range(3):
        put(str(tmp_path / "pictures"), f"joy/{number}.jpg", jpeg(number))
    put(str(tmp_path / "pictures"), "metadata.csv", "file_name,label\njoy/0.jpg,joy\n")
    code, said = run("build-emoset", tmp_path / "pictures", *captioned, "--layout", "image_folder")
    assert code == 2
    assert "not one of the 3 pictures of 'emoset'" in said
    assert "1 label left out (joy/0.jpg: label 'joy' names none of the eight emotions" in said
    assert sum(stub.requests.values()) == 0


def test_no_picture_can_be_used(run, captioned, tmp_path):
    put(str(tmp_path / "pictures"), "awe/a.jpg", b"no picture")
    put(str(tmp_path / "pictures"), "awe/b.heic", b"no picture")
    code, said = run("build-emoset", tmp_path / "pictures", *captioned, "--layout", "image_folder")
    assert code == 2
    assert "has no usable picture; rejected: 1 not an image" in said
    assert "1 unread format" in said
