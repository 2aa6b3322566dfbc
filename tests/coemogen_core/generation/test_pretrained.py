import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from coemogen_core.generation.denoising import load_base_pipeline
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.conditioner import ConditionerConfig
from tests.coemogen_core.generation.small_model import new_trained_model

FAST = {"num_inference_steps": 2, "guidance_scale": 3.0, "seed": 4}


@pytest.fixture(scope="module")
def pipe(models, trained) -> EmotionPipeline:
    return EmotionPipeline.on_base(load_base_pipeline(models, "cpu"), trained)


@pytest.fixture(scope="module")
def saved(pipe, tmp_path_factory):
    """Saved in the middle of work: a gate is merged and another sampler in place."""
    folder = tmp_path_factory.mktemp("saved") / "pipeline"
    pipe("anger", scheduler="euler", **FAST)
    pipe.save_pretrained(folder)
    return folder


def picture(pipe: EmotionPipeline, emotion="awe") -> np.ndarray:
    return np.asarray(pipe(emotion, **FAST)[0])


@pytest.mark.parametrize("emotion", ["awe", {"awe": 0.6, "anger": 0.4}])
def test_a_folder_with_its_base_gives_the_same_bytes_wherever_it_lies(pipe, saved, tmp_path, emotion):
    shutil.copytree(saved, tmp_path / "elsewhere")
    assert np.array_equal(picture(EmotionPipeline.from_pretrained(tmp_path / "elsewhere", device="cpu"), emotion), picture(pipe, emotion))


def test_the_base_in_the_folder_is_the_base_as_it_was(saved, models):
    """Oracle: diffusers opens it and finds every weight that was there before HiLoRA came."""
    inside = StableDiffusionPipeline.from_pretrained(saved / "base", safety_checker=None).unet.state_dict()
    outside = StableDiffusionPipeline.from_pretrained(models.diffusion, safety_checker=None).unet.state_dict()
    assert inside.keys() == outside.keys()
    assert all(torch.equal(inside[name], outside[name]) for name in outside)


def test_weights_are_safetensors_and_the_card_tells_how_to_load(saved):
    endings = {file.suffix for file in saved.rglob("*") if file.is_file()}
    assert not endings & {".bin", ".pt", ".pth", ".ckpt", ".pkl"}
    card = (saved / "README.md").read_text()
    assert "EmotionPipeline.from_pretrained" in card
    assert "awe 6" in card
    assert str(saved) not in card


def test_saving_leaves_the_pipeline_as_it_was(models, trained, tmp_path):
    pipe = EmotionPipeline.on_base(load_base_pipeline(models, "cpu"), trained)
    before = picture(pipe)
    pipe.save_pretrained(tmp_path / "a")
    assert np.array_equal(picture(pipe), before)
    pipe.save_pretrained(tmp_path / "b", include_base=False)
    assert np.array_equal(picture(pipe), before)


def test_a_folder_without_its_base_notes_where_it_lies(pipe, models, tmp_path):
    pipe.save_pretrained(tmp_path / "light", include_base=False)
    assert not (tmp_path / "light" / "base").exists()
    assert json.loads((tmp_path / "light" / "pipeline.json").read_text())["fingerprint"] == models.identity["diffusion"]
    assert np.array_equal(picture(EmotionPipeline.from_pretrained(tmp_path / "light", device="cpu")), picture(pipe))


def test_another_base_is_pointed_out_and_a_lost_one_named(models, trained, tmp_path):
    moved = tmp_path / "base-model"
    shutil.copytree(models.diffusion, moved)
    light = tmp_path / "light"
    there = BaseModels(diffusion=str(moved), clip=models.clip)
    EmotionPipeline.on_base(load_base_pipeline(there, "cpu"), trained).save_pretrained(light, include_base=False)
    shutil.rmtree(moved)
    with pytest.raises(FileNotFoundError, match="base-model does not exist"):
        EmotionPipeline.from_pretrained(light, device="cpu")
    EmotionPipeline.from_pretrained(light, base=models.diffusion, device="cpu")
    other = tmp_path / "other"
    shutil.copytree(models.diffusion, other)
    (other / "note.txt").write_text("changed")
    with pytest.warns(UserWarning, match="another diffusion model"):
        EmotionPipeline.from_pretrained(light, base=str(other), device="cpu")


def test_a_changed_base_inside_is_refused(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    (tmp_path / "copy" / "base" / "unet" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="copy the folder again"):
        EmotionPipeline.from_pretrained(tmp_path / "copy", device="cpu")


def test_the_folder_appears_whole_or_not_at_all(models, trained, saved, tmp_path, monkeypatch):
    pipe = EmotionPipeline.on_base(load_base_pipeline(models, "cpu"), trained)
    with pytest.raises(FileExistsError, match="not empty"):
        pipe.save_pretrained(saved)

    def full_disk(*_arguments, **_options):
        raise OSError("no space left")

    monkeypatch.setattr(StableDiffusionPipeline, "save_pretrained", full_disk)
    with pytest.raises(OSError, match="no space left"):
        pipe.save_pretrained(tmp_path / "new")
    assert not list(tmp_path.iterdir())
    assert len(pipe("awe", **FAST)) == 1  # HiLoRA is back in its place
    with pytest.raises(FileNotFoundError, match="save_pretrained"):
        EmotionPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("kind", ["class-vector", "emotion-word"])
def test_the_ablations_inputs_come_back_too(models, tmp_path, kind):
    pipe = EmotionPipeline.on_base(load_base_pipeline(models, "cpu"), new_trained_model(models, ConditionerConfig(emotion_input=kind)))
    pipe.save_pretrained(tmp_path / "p", include_base=False)
    assert np.array_equal(picture(EmotionPipeline.from_pretrained(tmp_path / "p", device="cpu")), picture(pipe))
