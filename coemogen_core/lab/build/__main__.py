"""Makes the lab's models from nothing: `python -m coemogen_core.lab.build --work FOLDER [--only STAGE ...]`.

Stages keep their results in the work folder and are skipped when these exist; `install` writes them as half-precision safetensors into
the package. About three hours on two cores.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, LlavaForConditionalGeneration, LlavaProcessor

from coemogen_core.lab import LabModel, models_folder
from coemogen_core.lab.architectures import diffusion_pipeline, new_captioner_processor, new_clip_tokenizer, new_image_processor
from coemogen_core.lab.build.diffusion import train_unet, train_vae
from coemogen_core.lab.build.judges import train_content_judge, train_emotion_judge
from coemogen_core.lab.build.measure import measure_all
from coemogen_core.lab.build.training import ScenePool, cached_pool
from coemogen_core.lab.build.vision_language import caption_corpus, request_corpus, train_captioner, train_clip
from coemogen_core.lab.judges import save_judge

SEED = 20260
SIZE_LIMIT = 16 * 2**20  # of all models together, bytes


def world_pool(work: Path) -> ScenePool:
    """Half neutral, half emotional; a quarter painted: what CLIP, the autoencoder, the judges and the captioner learn from."""
    return cached_pool(work / "pools", "world", 32_000, SEED, "mixed", 0.25)


def neutral_pool(work: Path) -> ScenePool:
    """Neutral renderings alone: what the diffusion model learns from."""
    return cached_pool(work / "pools", "neutral", 24_000, SEED + 1, "neutral")


def build_vae(work: Path) -> None:
    """Autoencoder."""
    train_vae(world_pool(work), 6000, 32, SEED).save_pretrained(work / "vae")


def build_clip(work: Path) -> None:
    """CLIP with its tokenizer and image processor."""
    tokenizer = new_clip_tokenizer(caption_corpus(), 700)
    model = train_clip(world_pool(work), tokenizer, 1700, 128, SEED)
    for part in (tokenizer, new_image_processor(), model):
        part.save_pretrained(work / "clip")


def build_emotion_judge(work: Path) -> None:
    """Emotion judge."""
    save_judge(train_emotion_judge(world_pool(work), 1200, 64, SEED), work / "emotion_judge")


def build_content_judge(work: Path) -> None:
    """Object and scene judge."""
    save_judge(train_content_judge(world_pool(work), 1600, 64, SEED), work / "content_judge")


def build_unet(work: Path) -> None:
    """Diffusion U-Net on the autoencoder's latents and CLIP's text encoder."""
    vae = AutoencoderKL.from_pretrained(work / "vae").eval()
    text_encoder = CLIPTextModel.from_pretrained(work / "clip").eval()
    tokenizer = CLIPTokenizer.from_pretrained(work / "clip")
    unet: UNet2DConditionModel = train_unet(neutral_pool(work), vae, text_encoder, tokenizer, 7_000, 32, SEED, work / "unet.checkpoint")
    unet.save_pretrained(work / "unet")


def build_captioner(work: Path) -> None:
    """LLaVA captioner on CLIP's vision tower."""
    processor = new_captioner_processor(request_corpus(), 700)
    processor.save_pretrained(work / "captioner")
    clip = CLIPModel.from_pretrained(work / "clip", dtype=torch.float32).eval()
    train_captioner(world_pool(work), clip, processor, 3200, 32, SEED).save_pretrained(work / "captioner")


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


def measure_models(work: Path) -> None:
    """Print the bars of the installed models as a Markdown table, and keep it in the work folder.

    Raises:
        SystemExit: a bar does not hold.
    """
    bars = measure_all()
    lines = ["| on scenes that no training has seen | measured | bar | holds |", "|---|---:|---:|---|"]
    for bar in bars:
        sign = "at least" if bar.at_least else "at most"
        bound = "none" if bar.bound is None else f"{sign} {bar.bound:g}"
        lines.append(f"| {bar.name} | {bar.value:.3f} | {bound} | {'' if bar.bound is None else 'yes' if bar.holds else '**no**'} |")
    table = "\n".join(lines)
    (work / "bars.md").write_text(table + "\n")
    print(table)
    if not all(bar.holds for bar in bars):
        raise SystemExit("a model does not reach its bar: train it longer")


BUILDERS: dict[str, Callable[[Path], None]] = {
    "vae": build_vae,
    "clip": build_clip,
    "emotion_judge": build_emotion_judge,
    "content_judge": build_content_judge,
    "unet": build_unet,
    "captioner": build_captioner,
}
"""By the folder of the model: a stage is skipped where that is complete."""
STAGES = {**BUILDERS, "install": install_models, "measure": measure_models}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for pools and unfinished models")
    parser.add_argument("--only", nargs="*", choices=list(STAGES), default=list(STAGES), help="stages to run, in this order")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for stage in arguments.only:
        print(f"== {stage}", flush=True)
        if stage not in BUILDERS or not (arguments.work / stage / "config.json").exists():
            STAGES[stage](arguments.work)
