"""`coemogen evaluate` on a good folder that no run of ours wrote, and with what is no folder at all."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.command_line import main
from schemas.metrics import METRIC_NAMES, Metrics
from tests.flows.evaluate_command.drawn_pictures import draw, draw_set


def test_a_good_folder_gives_table_json_and_report(
    measure: Callable[..., Metrics], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = draw_set(tmp_path / "images", 6)
    metrics = measure(images, report=tmp_path / "report.html")
    assert all(metrics.methods["images"].estimate(name).low is not None for name in METRIC_NAMES)
    assert metrics.methods["images"].images == 48
    assert metrics.reference is not None
    assert (metrics.reference.images, metrics.reference.split) == (64, None)
    shown = capsys.readouterr().out
    assert all(label in shown for label in ("FID", "CMMD", "Precision", "Recall", "real images", "Protocol corrected"))
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("data:image/") >= 48
    assert "the same noise" not in page
    assert "CoEmoGen learns" not in page
    assert 'id="failures"' in page
    assert 'id="map"' in page
    again = measure(images)
    assert again.methods == metrics.methods


def test_the_public_codes_protocol(measure: Callable[..., Metrics], tmp_path: Path) -> None:
    found = measure(draw_set(tmp_path / "images", 6), protocol="emogen")
    assert found.protocol == "emogen"
    measured = found.methods["images"]
    assert measured.lpips.value is not None
    assert measured.sem_d.low is not None
    assert "rescaled twice" in measured.sem_d.extractor
    assert (measured.cmmd.value, measured.cmmd.reason) == (
        None,
        "not under protocol emogen: its CLIP sees pictures that were rescaled twice",
    )


def test_nothing_but_broken_pictures_is_an_error(measure: Callable[..., Metrics], tmp_path: Path) -> None:
    (tmp_path / "images" / "awe").mkdir(parents=True)
    (tmp_path / "images" / "awe" / "1.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"none of the 1 pictures of .* can be read, e.g. awe/1.png: not an image"):
        measure(tmp_path / "images")
    draw(tmp_path / "other" / "joy" / "1.png", 0)
    with pytest.raises(ValueError, match="no pictures in a folder named by an emotion"):
        measure(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        measure(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="is no file: give lab, or a TOML file"):
        measure(tmp_path / "other", extractors=str(tmp_path / "paper.toml"))


def test_an_error_is_one_line_and_leaves_no_file(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["coemogen", "evaluate", str(tmp_path / "absent"), "--reference", str(real), "--json", str(tmp_path / "m.json")]
    for arguments, message in (([], "absent does not exist"), (["--protocol", "other"], 'Choose from: "corrected", "emogen"')):
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()
