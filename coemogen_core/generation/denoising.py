"""What all diffusion generators share: the base pipeline, per-image noise, and batches."""

import math
from collections.abc import Iterator, Sequence

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from diffusers.utils.logging import disable_progress_bar
from torch import Tensor, nn

from coemogen_core.device import resolve_device
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe, make_scheduler
from coemogen_core.storage.model_source import locate, opening


def load_base_pipeline(
    models: BaseModels, device: str = "auto", dtype: torch.dtype | None = None, **parts: nn.Module
) -> StableDiffusionPipeline:
    """The Stable Diffusion pipeline without safety checker and progress bar, on its device (half precision on a GPU unless told).

    `parts` (unet, text_encoder) are taken as they are instead of being loaded.
    """
    return open_base_pipeline(models.diffusion, models.diffusion_revision, device, dtype, **parts)


def open_base_pipeline(
    diffusion: str, revision: str | None = None, device: str = "auto", dtype: torch.dtype | None = None, **parts: nn.Module
) -> StableDiffusionPipeline:
    """The same, by folder or hub id."""
    disable_progress_bar()  # of loading; a library that draws pictures has no business on a terminal
    place = resolve_device(device)
    with opening(diffusion):
        pipeline = StableDiffusionPipeline.from_pretrained(
            locate(diffusion),
            revision=revision or "main",
            safety_checker=None,
            requires_safety_checker=False,
            dtype=dtype or (torch.float16 if place.type == "cuda" else torch.float32),
            **parts,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(place)


def check_size(pipeline: DiffusionPipeline, recipe: GenerationRecipe) -> None:
    """Refuse a picture size that the autoencoder cannot take.

    Raises:
        ValueError: height or width is no multiple of what one latent covers, or of 8, which diffusers asks for.
    """
    step = math.lcm(8, _pixels_per_latent(pipeline))
    for name, given in (("height", recipe.height), ("width", recipe.width)):
        if given is not None and given % step:
            nearest = max(step, round(given / step) * step)
            raise ValueError(f"{name} {given}: this model draws multiples of {step} pixels; {nearest} would do")


def initial_latents(pipeline: StableDiffusionPipeline, seeds: Sequence[int], height: int | None = None, width: int | None = None) -> Tensor:
    """Starting noise [n, 4, h, w] of pictures of a size in pixels (None: the model's own), one generator per image on the CPU: an image's
    noise depends on its seed alone.
    """
    size = pipeline.unet.config.sample_size
    own_height, own_width = (size, size) if isinstance(size, int) else size
    step = _pixels_per_latent(pipeline)
    height, width = height // step if height else own_height, width // step if width else own_width
    shape = (1, pipeline.unet.config.in_channels, height, width)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(noise).to(pipeline.device, pipeline.unet.dtype)


def image_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator per image, for samplers that add noise on their way."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def denoising_arguments(pipeline: StableDiffusionPipeline, recipe: GenerationRecipe, seeds: Sequence[int]) -> dict[str, object]:
    """Arguments of the base pipeline's call that the recipe and the seeds decide."""
    return {
        "latents": initial_latents(pipeline, seeds, recipe.height, recipe.width),
        "height": recipe.height,
        "width": recipe.width,
        "generator": image_generators(seeds),
        "num_inference_steps": recipe.num_inference_steps,
        "guidance_scale": recipe.guidance_scale,
        "output_type": "pil",
    }


def _pixels_per_latent(pipeline: DiffusionPipeline) -> int:
    return 2 ** (len(pipeline.vae.config.block_out_channels) - 1)


def use_scheduler(pipeline: StableDiffusionPipeline, base_scheduler: object, recipe: GenerationRecipe) -> None:
    """Give the pipeline a fresh sampler of the recipe (samplers keep state between calls)."""
    pipeline.scheduler = make_scheduler(base_scheduler, recipe)


def batches(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The seeds in slices of at most `size`."""
    for start in range(0, len(seeds), size):
        yield seeds[start : start + size]


def image_seeds(seed: int, count: int) -> list[int]:
    """Seeds of the images of one request: image k has seed + k, so any single one can be made again alone."""
    return [seed + index for index in range(count)]
