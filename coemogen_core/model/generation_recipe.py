"""Generation recipes: everything that decides what a picture becomes, besides the model, the emotion and the seed."""

from typing import Annotated, Literal

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    SchedulerMixin,
)
from pydantic import Field

from coemogen_core.recipe import NotIdentifying, Recipe
from schemas.choices import Device, SchedulerName


class TransferSettings(Recipe):
    """How content and emotion share a picture in emotion transfer."""

    layout_share: float = Field(
        default=0.1, ge=0, le=1, description="share of the steps, from the first on, in which the base model draws the content alone"
    )
    hold: float = Field(
        default=1.0, ge=0, le=1, description="how much of the base model's drawing stays where the content is; 0 = the emotion alone"
    )
    content_factor: float = Field(default=1.0, ge=0, le=10, description="guidance of the content as a multiple of guidance_scale")
    emotion_factor: float = Field(default=1.0, ge=0, le=10, description="guidance of the emotion as a multiple of guidance_scale")
    spread: float = Field(
        default=1.0, ge=0, le=1, description="how far visual embeddings go from the middle of the emotion's cluster; 0 = always the middle"
    )


class GenerationRecipe(Recipe):
    """How pictures are denoised."""

    num_inference_steps: int = Field(default=50, ge=1, le=1000, description="denoising steps")
    guidance_scale: float = Field(default=7.5, ge=0, description="classifier-free guidance; at most 1 switches it off")
    scheduler: SchedulerName = Field(default="base", description="sampler; base is the one saved with the diffusion model")
    timestep_spacing: Literal["base", "leading", "trailing", "linspace"] = Field(
        default="base", description="which timesteps the steps take"
    )
    unconditional_gates: Literal["same", "base"] = Field(
        default="same", description="HiLoRA gates of the unconditional branch: those of the emotion, or none (the base model)"
    )
    intensity: float = Field(
        default=1.0, ge=0, le=10, description="factor on the gates: 0 = the base model without HiLoRA, above 1 = a stronger emotion"
    )
    content: str | None = Field(
        default=None, max_length=1000, description="what the pictures show, for emotion transfer: `a street`; none = the emotion decides"
    )
    transfer: TransferSettings = Field(default=TransferSettings(), description="how the content and the emotion share a picture")
    negative_prompt: str = Field(
        default="", max_length=1000, description="negative prompt: what the unconditional branch sees; empty is the usual one"
    )
    height: int | None = Field(default=None, ge=8, le=4096, description="pixels; none = the size that the base model was trained on")
    width: int | None = Field(default=None, ge=8, le=4096, description="pixels; none = the size that the base model was trained on")
    batch_size: int = Field(default=8, ge=1, le=256, description="pictures per denoising batch; another one rounds single pixels otherwise")
    device: Annotated[Device, NotIdentifying] = Field(
        default="auto", description="where it computes; auto takes the GPU where there is one"
    )


def make_scheduler(base: SchedulerMixin, recipe: GenerationRecipe) -> SchedulerMixin:
    """The recipe's sampler with the base scheduler's noise schedule."""
    kinds = {
        "base": type(base),
        "ddim": DDIMScheduler,
        "dpmsolver++": DPMSolverMultistepScheduler,
        "euler": EulerDiscreteScheduler,
        "euler a": EulerAncestralDiscreteScheduler,
    }
    options = {} if recipe.timestep_spacing == "base" else {"timestep_spacing": recipe.timestep_spacing}
    return kinds[recipe.scheduler].from_config(base.config, **options)
