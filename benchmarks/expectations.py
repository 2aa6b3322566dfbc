"""What EmoSet-118K and WikiArt take on one GPU: hours and gigabytes, computed, not measured.

    .venv/bin/python benchmarks/expectations.py --tflops 312 --utilisation 0.3

FLOPs are counted on torch's meta device at the true shapes of CLIP ViT-L/14 and Stable Diffusion 1.5; for a language model they are twice
its parameters a token. A stage's time is its FLOPs over the share of the GPU's peak that is assumed (`--utilisation`; 312 TFLOPS are an
A100's in bfloat16). Ingestion takes the measured rate of benchmarks/ingest.py, by pixels. Sizes are rows times bytes.
"""

import argparse
from dataclasses import dataclass

import torch
from diffusers.utils import logging
from sd15_shape import LATENT_SIDE, WIDTH, new_text_model, new_unet, new_vae
from step_flops import META, count_flops, flops_from_cache
from transformers import CLIPTokenizer, CLIPVisionConfig, CLIPVisionModel

from coemogen_core.lab import models_folder

MEASURED_MEGAPIXELS_PER_S = 1_325 * 0.4 * 0.32  # ingestion, two cores: benchmarks/RESULTS.md
EMBEDDING, CAPTION_ROW, OTHER_ROWS = 2 * WIDTH, 700, 400  # bytes a picture; the last: scores, alignment, decisions
FEATURES = 2 * (2 * 2 * 4 * LATENT_SIDE**2 + 3 * WIDTH)  # bytes a picture: mean and deviation of two latents, three embeddings, in halves
SAMPLES_OF_THE_PAPER = 130_016
DRAWN, STEPS = 8 * 1000, 50


@dataclass(frozen=True)
class Source:
    """A picture set; sizes of its files are assumed."""

    name: str
    pictures: int
    megapixels: float
    kilobytes: float
    captioned: float  # share of the pictures that are captioned


SOURCES = (Source("EmoSet-118K", 118_102, 0.7, 150, 1.0), Source("WikiArt", 81_444, 1.5, 400, 0.4))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=312.0, help="peak of the GPU in bfloat16")
    parser.add_argument("--utilisation", type=float, default=0.3, help="share of it that is reached")
    parser.add_argument("--captioner-parameters", type=float, default=8.3e9, help="Qwen2.5-VL-7B-Instruct")
    parser.add_argument("--caption-tokens", type=int, default=650, help="of picture, prompt and answer together")
    parser.add_argument("--cores", type=int, default=16, help="that decode pictures")
    chosen = parser.parse_args()
    logging.set_verbosity_error()
    speed = chosen.tflops * 1e12 * chosen.utilisation
    caption = 2 * chosen.captioner_parameters * chosen.caption_tokens
    print("| stage | GFLOP a picture | " + " | ".join(source.name for source in SOURCES) + " |\n|---|---:|" + "---:|" * len(SOURCES))
    decoded = [source.pictures * source.megapixels / (MEASURED_MEGAPIXELS_PER_S * chosen.cores / 2) for source in SOURCES]
    print(_row("ingest (from the measured rate)", "", decoded))
    vision, text = vision_flops(), text_flops()
    print(_row("embed", f"{vision / 1e9:,.0f}", [source.pictures * vision / speed for source in SOURCES]))
    print(_row("caption", f"{caption / 1e9:,.0f}", [source.captioned * source.pictures * caption / speed for source in SOURCES]))
    print(_row("align", f"{text / 1e9:,.0f}", [source.captioned * source.pictures * text / speed for source in SOURCES]))
    encode = 2 * vae_flops(encode=True) + 2 * vision + text
    print(_row("features (photos alone; float32, half of the peak)", f"{encode / 1e9:,.0f}", [SOURCES[0].pictures * encode / (speed / 2)]))
    step, draw = flops_from_cache(), 2 * STEPS * unet_flops() + vae_flops(encode=False)
    print(_row("training, 130,016 samples", f"{step / 1e9:,.0f}", [SAMPLES_OF_THE_PAPER * step / speed]))
    print(_row("8,000 pictures, 50 steps with guidance", f"{draw / 1e9:,.0f}", [DRAWN * draw / speed]))
    print("\n| table | " + " | ".join(f"{source.name}, GB" for source in SOURCES) + " |\n|---|" + "---:|" * len(SOURCES))
    for name, sizes in table_sizes().items():
        print(f"| {name} | " + " | ".join(f"{size / 1e9:,.1f}" for size in sizes) + " |")


def table_sizes() -> dict[str, list[float]]:
    """Bytes of the tables, source by source."""
    return {
        "images": [1000 * source.pictures * source.kilobytes for source in SOURCES],
        "embeddings": [source.pictures * EMBEDDING for source in SOURCES],
        "captions": [source.captioned * source.pictures * CAPTION_ROW for source in SOURCES],
        "scores, alignment, decisions": [source.pictures * OTHER_ROWS for source in SOURCES],
        "features": [SOURCES[0].pictures * FEATURES],
    }


def vision_flops() -> float:
    """CLIP ViT-L/14's image encoder, one picture."""
    shape = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    with META:
        model = CLIPVisionModel(CLIPVisionConfig(**shape, image_size=224, patch_size=14))
    return count_flops(lambda: model(torch.empty(1, 3, 224, 224, device=META)))


def text_flops() -> float:
    """Its text encoder, one caption of 77 tokens."""
    tokenizer = CLIPTokenizer.from_pretrained(f"{models_folder('diffusion')}/tokenizer")
    with META:
        model = new_text_model(tokenizer)
        words = torch.zeros(1, 77, dtype=torch.long)
    return count_flops(lambda: model(words))


def vae_flops(*, encode: bool) -> float:
    """The autoencoder, one picture of 512 x 512 one way."""
    with META:
        vae = new_vae()
        picture, latent = torch.empty(1, 3, 8 * LATENT_SIDE, 8 * LATENT_SIDE), torch.empty(1, 4, LATENT_SIDE, LATENT_SIDE)
    return count_flops((lambda: vae.encode(picture)) if encode else (lambda: vae.decode(latent)))


def unet_flops() -> float:
    """The U-Net, one latent forward."""
    with META:
        unet = new_unet()
        latent, words = torch.empty(1, 4, LATENT_SIDE, LATENT_SIDE), torch.empty(1, 77, WIDTH)
    return count_flops(lambda: unet(latent, 0, encoder_hidden_states=words))


def _row(stage: str, flops: str, seconds: list[float]) -> str:
    times = [f"{each / 3600:.1f} h" if each >= 3600 else f"{max(each / 60, 0.1):.1f} min" for each in seconds]
    return f"| {stage} | {flops} | " + " | ".join(times + [""] * (len(SOURCES) - len(times))) + " |"


if __name__ == "__main__":
    main()
