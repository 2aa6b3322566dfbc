"""`coemogen evaluate` on folders that no run of ours wrote: good ones, and all that may be wrong with them."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from coemogen_core.curation.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.curation.published_head import import_published_head
from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.picture_sets import open_pictures
from flows.command_line import main
from flows.command_line.evaluation import evaluate_command_line
from schemas.metrics import METRIC_NAMES, Metrics

FEW = ["resamples=20"]


def draw(file: Path, seed: int, size: tuple[int, int] = (64, 64), emotion: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng((seed, emotion))
    coarse = generator.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    coarse[..., 0] = coarse[..., 0] // 2 + 16 * emotion
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file)


def draw_set(folder: Path, count: int, first: int = 0) -> Path:
    for index, emotion in enumerate(EMOTIONS):
        for k in range(count):
            draw(folder / emotion / f"{k}.png", first + k, emotion=index)
    return folder


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("real") / "real", 8, first=100)


@pytest.fixture
def measure(real: Path, tmp_path: Path) -> Callable[..., Metrics]:
    """The numbers of a folder, as they stand in the file."""

    def run(images: Path, *settings: str, **options: object) -> Metrics:
        file = tmp_path / "out" / "metrics.json"
        given = {"reference": str(real), "json_file": file, "settings": [*FEW, *settings], **options}
        evaluate_command_line(str(images), **given)  # type: ignore[arg-type]
        assert "NaN" not in file.read_text()
        return Metrics.model_validate_json(file.read_bytes())

    return run


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


def test_several_probes_are_asked_side_by_side(measure: Callable[..., Metrics], tmp_path: Path, wide_clip: Path) -> None:
    for name, emotion in (("a.pth", "fear"), ("b.pth", "awe")):
        bias = torch.zeros(8)
        bias[EMOTIONS.index(emotion)] = 1e4  # type: ignore[arg-type]
        torch.save({"fc.weight": torch.zeros(8, 768), "fc.bias": bias}, tmp_path / name)
    images = draw_set(tmp_path / "images", 5)
    found = measure(images, probe=[str(tmp_path / "a.pth"), str(tmp_path / "b.pth")], clip=str(wide_clip)).methods["images"]
    heads = list(found.probes.values())
    assert [probe.majority_emotion for probe in heads[:2]] == ["fear", "awe"]
    assert all(probe.collapsed and probe.interval is not None for probe in heads[:2])
    assert len(heads) == 3
    assert found.emo_a.extractor == next(iter(found.probes))


def test_a_classifier_of_a_workspace_is_a_probe(measure: Callable[..., Metrics], tmp_path: Path, tiny_clip: Path, wide_clip: Path) -> None:
    workspace, recipe = Workspace(str(tmp_path / "workspace")), EncoderRecipe(model=str(tiny_clip), unit_length=False)
    bias = np.zeros(8, np.float32)
    bias[EMOTIONS.index("disgust")] = 9
    torch.save({"fc.weight": torch.zeros(8, load_encoder(recipe).dim), "fc.bias": torch.from_numpy(bias)}, tmp_path / "head.pth")
    name = import_published_head(workspace, str(tmp_path / "head.pth"), recipe.encoder_id)
    folder, images = workspace.path("classifiers", name), draw_set(tmp_path / "images", 2)
    found = measure(images, probe=[folder], clip=str(tiny_clip)).methods["images"]
    assert found.emo_a.extractor == f"{name} on {recipe.encoder_id}"
    assert next(iter(found.probes.values())).majority_emotion == "disgust"
    with pytest.raises(ValueError, match=r"reads the vectors of clip-.*, which neither the CLIP"):
        measure(images, probe=[folder], clip=str(wide_clip))
    with pytest.raises(FileNotFoundError, match="no classifier absent in"):
        measure(images, probe=[workspace.path("classifiers", "absent")])


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
    for arguments, message in (([], "absent does not exist"), (["--protocol", "other"], "protocol: Input should be")):
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "m.json").exists()


@pytest.fixture(scope="module")
def wide_clip(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP of random weights with ViT-L/14's width of 768."""
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("wide_clip")
    config = CLIPConfig.from_pretrained(tiny_clip)
    config.projection_dim = config.text_config.projection_dim = config.vision_config.projection_dim = 768
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_clip).save_pretrained(folder)
    AutoImageProcessor.from_pretrained(tiny_clip, backend="pil").save_pretrained(folder)
    return folder


def test_emogens_published_head_reads_768_numbers(
    measure: Callable[..., Metrics], wide_clip: Path, tiny_clip: Path, shared_data: Path, tmp_path: Path
) -> None:
    head = str(shared_data / "emogen" / "clip_emotion_classifier.pth")
    images = draw_set(tmp_path / "images", 2)
    found = measure(images, probe=[head], clip=str(wide_clip)).methods["images"]
    assert found.emo_a.extractor.startswith("emogen-head@")
    assert len(found.probes) == 2
    with pytest.raises(ValueError, match=r"reads image embeddings of 768 numbers, but .* gives \d+: name the CLIP"):
        measure(images, probe=[head], clip=str(tiny_clip))


def test_a_head_of_the_right_width_and_one_of_another(
    measure: Callable[..., Metrics], wide_clip: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    """The same without the published file: a head that always says fear."""
    bias = torch.zeros(8)
    bias[EMOTIONS.index("fear")] = 1e4
    torch.save({"fc.weight": torch.zeros(8, 768), "fc.bias": bias}, tmp_path / "head.pth")
    images = draw_set(tmp_path / "images", 2)
    found = measure(images, probe=[str(tmp_path / "head.pth")], clip=str(wide_clip)).methods["images"]
    assert found.emo_a.value == pytest.approx(1 / 8)
    assert next(iter(found.probes.values())).majority_emotion == "fear"
    with pytest.raises(ValueError, match="reads image embeddings of 768 numbers"):
        measure(images, probe=[str(tmp_path / "head.pth")], clip=str(tiny_clip))


def test_an_emoset_as_reference_is_taken_by_its_test_split(measure: Callable[..., Metrics], tmp_path: Path) -> None:
    root = tmp_path / "emoset"
    for split, count in (("train", 3), ("test", 2)):
        entries = []
        for index, emotion in enumerate(EMOTIONS):
            for k in range(count):
                path = f"image/{emotion}/{split}_{k}.jpg"
                draw(root / path, k if split == "train" else 100 + k, emotion=index)
                entries.append([emotion, f"{split}_{k}", path, f"annotation/{emotion}/{split}_{k}.json"])
        (root / f"{split}.json").write_text(json.dumps(entries))
    assert open_pictures(str(root), minimum=16).split == "test"
    assert sum(open_pictures(str(root), minimum=17).counts()) == 40
    assert sum(open_pictures(str(root), "emogen", minimum=16).counts()) == 40
    images = draw_set(tmp_path / "images", 2)
    found = measure(images, "minimum_reference=16", reference=str(root)).reference
    assert found is not None
    assert (found.images, found.split) == (16, "test")


def test_a_source_of_a_workspace_as_reference_keeps_its_features(measure: Callable[..., Metrics], real: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for part in plan_source(Workspace(str(workspace)), "photos", "image_folder", str(real)):
        ingest_part(Workspace(str(workspace)), "photos", part)
    images = draw_set(tmp_path / "images", 3)
    found, plain = (measure(images, reference=reference) for reference in (f"{workspace}/images/photos", str(real)))
    assert found.reference is not None
    assert (found.reference.source, found.reference.images) == ("photos", 64)
    assert found.methods["images"].fid.value == pytest.approx(plain.methods["images"].fid.value, rel=1e-5)
    assert list((tmp_path / "workspace" / "evaluation").rglob("part-*.safetensors"))
