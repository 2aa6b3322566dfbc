"""Emotion transfer: a neutral content, drawn so that it evokes an emotion (paper, applications; the way is ours).

Joined in one prompt, the pseudo-words drown the content's words: HiLoRA has only ever read pseudo-words. So two noises are composed.
Where the content is, the base model draws it by its own words; around it, the trained model draws the emotion. What was tried besides, and
what each gave, stands in benchmarks/RESULTS.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from coemogen_core.generation.denoising import image_generators, initial_latents
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.hilora import HiLoRA
from coemogen_core.model.text_encoder import FrozenTextEncoder

BACKGROUND, CONTENT = 0.5, 0.85  # shares of a picture's positions below which it is background, above which it is content
EPSILON = 1e-12


class ContentMask:
    """Gathers evidence step by step. Each picture has a mask of its own, so that it does not depend on the others of its batch."""

    def __init__(self) -> None:
        self._evidence: Tensor | None = None

    def add(self, named: Tensor, nothing: Tensor) -> None:
        """Take in one step: the base model's noise [n, c, h, w] with the content's prompt and with the unconditional one."""
        difference = (named - nothing).float().abs().mean(1, keepdim=True)
        self._evidence = difference if self._evidence is None else self._evidence + difference

    def values(self) -> Tensor:
        """The mask after the steps so far [n, 1, h, w]: 0 in the background, 1 at the content, and between them at its edge.

        Raises:
            RuntimeError: no step was taken in.
        """
        if self._evidence is None:
            raise RuntimeError("a mask needs at least one step: call add() first")
        smooth = _blur(_blur(self._evidence))
        flat = smooth.flatten(1)
        low, high = (flat.quantile(share, dim=1, keepdim=True) for share in (BACKGROUND, CONTENT))
        return ((flat - low) / (high - low).clamp_min(EPSILON)).clamp(0, 1).view_as(smooth)


def _blur(maps: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


@dataclass(frozen=True)
class TransferConditions:
    """What the U-Net attends to, [n, positions, width] each."""

    nothing: Tensor  # the negative prompt
    content: Tensor  # the content's own words
    emotion: Tensor  # the emotion's pseudo-words


def check_content(text_encoder: FrozenTextEncoder, content: str) -> None:
    """Refuse a content that says nothing, or more than the text encoder can read.

    Raises:
        ValueError: of that.
    """
    count, limit = len(text_encoder.word_pieces(content)), text_encoder.max_length - 2
    if not 1 <= count <= limit:
        raise ValueError(f"content of {count} tokens ({content[:40]!r}): give 1 to {limit}, such as 'a bag on a table'")


@dataclass(frozen=True)
class Transfer:
    """Draws batches in which content and emotion are composed."""

    base: StableDiffusionPipeline  # its sampler in place
    hilora: HiLoRA  # unmerged
    gate: Tensor  # of the emotion [10]
    recipe: GenerationRecipe

    def draw(self, conditions: TransferConditions, seeds: Sequence[int]) -> list[Image.Image]:
        """One RGB picture per seed; each is a function of its seed, not of the batch."""
        base, recipe, mask = self.base, self.recipe, ContentMask()
        scheduler, latents = base.scheduler, initial_latents(base, seeds, recipe.height, recipe.width)
        scheduler.set_timesteps(recipe.num_inference_steps, device=latents.device)
        latents = latents * scheduler.init_noise_sigma
        options = base.prepare_extra_step_kwargs(image_generators(seeds), eta=0.0)
        layout_steps = round(recipe.transfer.layout_share * len(scheduler.timesteps))
        for step, timestep in enumerate(base.progress_bar(scheduler.timesteps)):
            scaled = scheduler.scale_model_input(latents, timestep)
            if step < layout_steps:
                noise = self._content_noise(scaled, timestep, conditions, mask)
            else:
                noise = self._composed_noise(scaled, timestep, conditions, mask)
            latents = scheduler.step(noise, timestep, latents, **options, return_dict=False)[0]
        decoded = base.vae.decode(latents / base.vae.config.scaling_factor, return_dict=False)[0]
        pictures: list[Image.Image] = base.image_processor.postprocess(decoded, output_type="pil")
        return pictures

    def _content_noise(self, latents: Tensor, timestep: Tensor, conditions: TransferConditions, mask: ContentMask) -> Tensor:
        self.hilora.set_gates(None)
        nothing, named = self._noises(latents, timestep, conditions.nothing, conditions.content)
        mask.add(named, nothing)
        return self._content(named, nothing)

    def _composed_noise(self, latents: Tensor, timestep: Tensor, conditions: TransferConditions, mask: ContentMask) -> Tensor:
        shared = self.recipe.unconditional_gates == "same"
        count = len(latents)
        opened, closed = self.gate.expand(count, -1), torch.zeros(count, len(self.gate))
        self.hilora.set_gates(torch.cat([closed, closed, opened, opened] if shared else [closed, closed, opened]))
        texts = (conditions.nothing, conditions.content, conditions.emotion)
        nothing, named, felt, *rest = self._noises(latents, timestep, *texts, *((conditions.nothing,) if shared else ()))
        mask.add(named, nothing)
        start = rest[0] if shared else nothing
        emotion = start + self._guidance * self.recipe.transfer.emotion_factor * (felt - start)
        held = (mask.values() * self.recipe.transfer.hold).to(latents.dtype)
        return held * self._content(named, nothing) + (1 - held) * emotion

    def _content(self, named: Tensor, nothing: Tensor) -> Tensor:
        return nothing + self._guidance * self.recipe.transfer.content_factor * (named - nothing)

    def _noises(self, latents: Tensor, timestep: Tensor, *texts: Tensor) -> tuple[Tensor, ...]:
        batch = torch.cat([latents] * len(texts))
        noise: Tensor = self.base.unet(batch, timestep, encoder_hidden_states=torch.cat(texts), return_dict=False)[0]
        return noise.chunk(len(texts))

    @property
    def _guidance(self) -> float:
        return max(self.recipe.guidance_scale, 1.0)  # at most 1 = no guidance: the noise of the condition alone
