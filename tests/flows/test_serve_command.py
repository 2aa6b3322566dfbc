"""What `coemogen serve` says; that it serves is tested with a real server (tests/orchestration)."""

from pathlib import Path

import pytest

from flows.command_line.services import serve
from flows.services import serve as services


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "serve", lambda *_: None)
    for name in ("WORKSPACE", "PHOTOS", "PAINTINGS"):
        monkeypatch.setenv(f"COEMOGEN_{name}", "put back after the test")


def test_pictures_that_are_not_there_are_named_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "paintings").mkdir()
    serve(photos=str(tmp_path / "photos"), paintings=str(tmp_path / "paintings"))
    said = capsys.readouterr().out
    assert (
        f"{tmp_path}/photos does not exist: `make demo-short` draws the demo's pictures, `coemogen serve --photos FOLDER` takes yours"
        in said
    )
    assert f"{tmp_path}/paintings does not exist" not in said


def test_pictures_in_a_bucket_are_not_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    serve(photos="s3://bucket/photos", paintings="s3://bucket/paintings")
    assert "does not exist" not in capsys.readouterr().out
