"""Folders with all that may be wrong with them: numbers or reasons, and what is left out is named."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from coemogen_core.emotions import EMOTIONS
from schemas.metrics import Metrics
from tests.flows.evaluate_command.drawn_pictures import draw, draw_set


def test_an_empty_and_a_missing_emotion_are_named(
    measure: Callable[..., Metrics], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = draw_set(tmp_path / "images", 5)
    for file in (images / "awe").iterdir():
        file.unlink()
    found = measure(images).methods["images"]
    assert "no images of awe: they are left out of every mean" in capsys.readouterr().out
    assert "awe" not in found.per_emotion
    assert found.lpips.value is not None


def test_one_image_is_not_enough_and_says_so(measure: Callable[..., Metrics], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "images" / "fear" / "only.png", 0)
    for protocol in ("corrected", "emogen"):
        found = measure(tmp_path / "images", protocol=protocol).methods["images"]
        assert found.emo_a.value in (0.0, 1.0)
        for name in ("fid", "precision", "recall", "lpips", "sem_d"):
            assert found.estimate(name).value is None  # type: ignore[arg-type]
            assert "not enough images" in str(found.estimate(name).reason)  # type: ignore[arg-type]
    assert "not enough images" in " ".join(capsys.readouterr().out.split())


def test_identical_images_have_numbers_and_no_diversity(measure: Callable[..., Metrics], tmp_path: Path) -> None:
    for emotion in EMOTIONS:
        for k in range(5):
            draw(tmp_path / "images" / emotion / f"{k}.png", 7)
    found = measure(tmp_path / "images").methods["images"]
    assert found.lpips.value == pytest.approx(0, abs=1e-6)
    assert found.sem_d.value == pytest.approx(0, abs=1e-9)
    assert found.fid.value is not None
    assert found.recall.value is not None


@pytest.mark.parametrize("kind", ["black", "two pictures", "one emotion", "one huge picture"])
def test_poor_sets_have_numbers_or_reasons_in_file_terminal_and_report(
    measure: Callable[..., Metrics], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    images = tmp_path / "images"
    emotions = EMOTIONS if kind == "black" else EMOTIONS[1:2]
    for emotion in emotions:
        for k in range(2 if kind == "two pictures" else 1 if kind == "one huge picture" else 6):
            draw(images / emotion / f"{k}.png", k, (4000, 3000) if kind == "one huge picture" else (64, 64))
            if kind == "black":
                Image.new("RGB", (64, 64)).save(images / emotion / f"{k}.png")
    found = measure(images, report=tmp_path / "report.html").methods["images"]
    page = re.sub(r"<style>.*?</style>|data:image/[^\"]*", "", (tmp_path / "report.html").read_text(), flags=re.DOTALL)
    for text in (capsys.readouterr().out, page):
        assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE)
    probe = next(iter(found.probes.values()))
    if kind == "black":
        assert (found.lpips.value, found.sem_d.value, probe.collapsed) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-9), True)
        assert "too often" in page
    else:
        assert list(found.per_emotion) == ["awe"]
        assert probe.collapsed is None
        assert "not checked" in page
    assert (found.sem_d.value is None) == (kind == "one huge picture")
    assert (found.emo_a.low is None) == (kind != "one emotion" and kind != "black")


def test_mixed_sizes_and_things_that_are_no_pictures(
    measure: Callable[..., Metrics], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = draw_set(tmp_path / "images", 5)
    draw(images / "awe" / "wide.png", 50, (300, 20))
    draw(images / "awe" / "dot.png", 51, (1, 1))
    draw(images / "unsorted" / "x.png", 52)
    (images / "awe" / "text.png").write_text("no picture")
    (images / "awe" / "notes.txt").write_text("seen")
    (images / "fear" / "0.png").write_bytes((images / "fear" / "1.png").read_bytes()[:60])
    found = measure(images, report=tmp_path / "report.html").methods["images"]
    assert (found.images, found.rejected) == (41, 2)
    said = capsys.readouterr().out
    assert "not an image: 1 (awe/text.png)" in said
    assert "not named like a picture: 1 (awe/notes.txt)" in said
    assert "in no emotion's folder: 1 (unsorted/x.png)" in said
    assert "fear/0.png" in said
