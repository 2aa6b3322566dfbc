"""Generation recipes: everything that decides what a picture becomes, besides the model, the emotion and the seed."""

from typing import Any, Literal

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, SchedulerMixin
from pydantic import BaseModel, ConfigDict, Field

SchedulerName = Literal["base", "ddim", "dpmsolver++", "euler"]
NOT_IDENTIFYING = frozenset({"batch_size", "device"})


class GenerationRecipe(BaseModel):
    """How pictures are denoised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        default=1.0, ge=0, le=10, description="factor on the gates: 0 is the base model's way of drawing, above 1 exaggerates"
    )
    batch_size: int = Field(default=8, ge=1, le=256, description="pictures per denoising batch; not part of the id")
    device: str = Field(default="auto", description="auto, cpu or cuda; not part of the id")

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that can change a picture."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name not in NOT_IDENTIFYING}


def make_scheduler(base: SchedulerMixin, recipe: GenerationRecipe) -> SchedulerMixin:
    """The recipe's sampler with the base scheduler's noise schedule."""
    kinds = {"base": type(base), "ddim": DDIMScheduler, "dpmsolver++": DPMSolverMultistepScheduler, "euler": EulerDiscreteScheduler}
    options = {} if recipe.timestep_spacing == "base" else {"timestep_spacing": recipe.timestep_spacing}
    return kinds[recipe.scheduler].from_config(base.config, **options)
