"""The models of the package, opened by the libraries they are meant for, on scenes that no training has seen."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPModel, CLIPProcessor

from coemogen_core.lab import models_folder
from coemogen_core.lab.build.measure import HELD_OUT_SEED, agreement, content_accuracy, content_agreement, to_unit_range
from coemogen_core.lab.build.training import ScenePool, draw_pool
from coemogen_core.lab.judges import load_content_judge, load_emotion_judge
from coemogen_core.lab.scenes.captions import caption_of, named_content

MODELS = models_folder("clip").parent


@pytest.fixture(scope="module")
def pool() -> ScenePool:
    """32 emotional scenes."""
    return draw_pool(32, HELD_OUT_SEED + 2, "emotional")


def test_all_weights_are_half_precision_safetensors_of_16_mib_at_most() -> None:
    files = [file for file in MODELS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 16 * 2**20
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".ckpt", ".pkl"}]
    weights = [file for file in files if file.suffix == ".safetensors"]
    assert len(weights) == 7
    for file in weights:
        with safe_open(file, "pt") as tensors:
            kinds = {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118 (not a mapping)
        assert kinds <= {"F16", "I64"}, file


def test_judges_recognise_held_out_scenes(pool: ScenePool) -> None:
    pixels = to_unit_range(pool.pixels)
    assert agreement(load_emotion_judge(), pixels, [str(scene.emotion) for scene in pool.scenes]) >= 0.9
    assert min(content_accuracy(load_content_judge(), pixels, pool)) >= 0.9


def test_clip_ranks_the_true_caption_of_a_scene_first(pool: ScenePool) -> None:
    folder = models_folder("clip")
    model, processor = CLIPModel.from_pretrained(folder, dtype=torch.float32), CLIPProcessor.from_pretrained(folder)
    captions = [caption_of(scene) for scene in pool.scenes]
    inputs = processor(
        text=captions, images=[Image.fromarray(picture) for picture in pool.pixels], padding="max_length", return_tensors="pt"
    )
    with torch.no_grad():
        best = model(**inputs).logits_per_image.argmax(1).tolist()
    assert sum(captions[row] == caption for row, caption in zip(best, captions, strict=True)) >= 0.8 * len(captions)


def test_the_captioner_opens_as_an_image_text_model_and_names_what_it_sees(pool: ScenePool) -> None:
    folder = models_folder("captioner")
    model, processor = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32), AutoProcessor.from_pretrained(folder)
    from coemogen_core.captioning.prompt import load_prompt

    right = 0
    for picture, scene in zip(pool.pixels[:8], pool.scenes[:8], strict=True):
        text = load_prompt("prior-short.v1").render(scene.emotion)
        content = [{"type": "image", "image": Image.fromarray(picture)}, {"type": "text", "text": text}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        with torch.no_grad():
            answer = model.generate(**inputs, max_new_tokens=48, do_sample=False)
        caption = processor.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right += named_content(caption) == scene.content
    assert right >= 7


def test_diffusion_opens_as_stable_diffusion_with_its_block_types() -> None:
    folder: Path = models_folder("diffusion")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    assert set(pipeline.unet.config.down_block_types) == {"CrossAttnDownBlock2D", "DownBlock2D"}
    assert set(pipeline.unet.config.up_block_types) == {"UpBlock2D", "CrossAttnUpBlock2D"}
    pipeline.set_progress_bar_config(disable=True)
    neutral = draw_pool(24, HELD_OUT_SEED + 3, "neutral")
    pictures = pipeline(
        [caption_of(scene) for scene in neutral.scenes],
        num_inference_steps=16,
        guidance_scale=4.0,
        height=64,
        width=64,
        output_type="pt",
        generator=torch.Generator().manual_seed(0),
    ).images
    assert content_agreement(load_content_judge(), pictures.float(), neutral) >= 0.7
