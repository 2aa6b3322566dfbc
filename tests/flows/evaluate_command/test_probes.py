"""Emotion probes from outside: published heads, a workspace's classifier, several side by side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from coemogen_core.classifier.published_head import import_published_head
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.storage.workspace import Workspace
from schemas.metrics import Metrics
from tests.flows.evaluate_command.drawn_pictures import draw_set


def test_several_probes_are_asked_side_by_side(measure: Callable[..., Metrics], tmp_path: Path, wide_clip: Path) -> None:
    for name, emotion in (("a.pth", "fear"), ("b.pth", "awe")):
        bias = torch.zeros(8)
        bias[EMOTIONS.index(emotion)] = 1e4  # type: ignore[arg-type]
        torch.save({"fc.weight": torch.zeros(8, 768), "fc.bias": bias}, tmp_path / name)
    images = draw_set(tmp_path / "images", 5)
    found = measure(images, probe=[str(tmp_path / "a.pth"), str(tmp_path / "b.pth")], clip=str(wide_clip)).methods["images"]
    heads = list(found.probes.values())
    assert [probe.majority_emotion for probe in heads[:2]] == ["fear", "awe"]
    assert [probe.through_clip for probe in heads] == [True, True, False]  # the last is the lab's own judge
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
    first = next(iter(found.probes.values()))
    assert (first.majority_emotion, first.through_clip) == ("disgust", True)
    with pytest.raises(ValueError, match=r"reads the vectors of clip-.*, which neither the CLIP"):
        measure(images, probe=[folder], clip=str(wide_clip))
    with pytest.raises(FileNotFoundError, match="no classifier absent in"):
        measure(images, probe=[workspace.path("classifiers", "absent")])


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
