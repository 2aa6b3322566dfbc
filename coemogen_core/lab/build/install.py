"""Puts the trained models into the package: half-precision safetensors in the folders that the libraries open."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, LlavaForConditionalGeneration, LlavaProcessor

from coemogen_core.lab import LabModel, models_folder
from coemogen_core.lab.architectures import new_scheduler

SIZE_LIMIT = 16 * 2**20


def diffusion_pipeline(
    vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer
) -> StableDiffusionPipeline:
    """The parts as one pipeline, with the lab's scheduler and without a safety checker."""
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def install_models(work: Path) -> None:
    """Write every model of the work folder into the package.

    Raises:
        ValueError: together they would exceed the package's limit of 16 MiB.
    """
    half = torch.float16
    _fresh("clip")
    CLIPModel.from_pretrained(work / "clip", dtype=half).save_pretrained(models_folder("clip"))
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(work / "clip" / name, models_folder("clip") / name)
    parts = (
        AutoencoderKL.from_pretrained(work / "vae", dtype=half),
        UNet2DConditionModel.from_pretrained(work / "unet", dtype=half),
        CLIPTextModel.from_pretrained(work / "clip", dtype=half),
        CLIPTokenizer.from_pretrained(work / "clip"),
    )
    _fresh("diffusion")
    diffusion_pipeline(*parts).save_pretrained(models_folder("diffusion"))
    _fresh("captioner")
    LlavaProcessor.from_pretrained(work / "captioner").save_pretrained(models_folder("captioner"))
    LlavaForConditionalGeneration.from_pretrained(work / "captioner", dtype=half).save_pretrained(models_folder("captioner"))
    judges: tuple[LabModel, ...] = ("emotion_judge", "content_judge")
    for judge in judges:
        shutil.copytree(work / judge, models_folder(judge), dirs_exist_ok=True)
    for tokenizer in models_folder("clip").parent.rglob("tokenizer.json"):
        tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()), ensure_ascii=False, separators=(",", ":")))
    size = sum(file.stat().st_size for file in models_folder("clip").parent.rglob("*") if file.is_file())
    print(f"models in the package: {size / 2**20:.2f} MiB")
    if size > SIZE_LIMIT:
        raise ValueError(f"the lab's models take {size} bytes, more than {SIZE_LIMIT}: make one of them smaller (architectures.py)")


def _fresh(name: LabModel) -> None:
    shutil.rmtree(models_folder(name), ignore_errors=True)
