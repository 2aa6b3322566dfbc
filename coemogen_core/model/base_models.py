"""The pretrained models that CoEmoGen builds on: a Stable Diffusion 1.x pipeline and a CLIP, by folder or hub id."""

from pathlib import Path
from typing import Annotated, Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from pydantic import Field
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.recipe import IdentifiedOtherwise, Recipe
from coemogen_core.storage.model_source import ModelName, fingerprint, locate, opening


class BaseModels(Recipe):
    """Which diffusion model and which CLIP; paths are free to differ between machines, `identity` is not."""

    diffusion: Annotated[ModelName, IdentifiedOtherwise] = Field(
        min_length=1, description="folder of a saved StableDiffusionPipeline (SD 1.x), or a hub id"
    )
    diffusion_revision: Annotated[str | None, IdentifiedOtherwise] = Field(
        default=None, description="commit of a hub diffusion model; none = its main branch"
    )
    clip: Annotated[ModelName, IdentifiedOtherwise] = Field(
        min_length=1, description="folder of a saved CLIPModel whose text encoder the diffusion model uses, or a hub id"
    )
    clip_revision: Annotated[str | None, IdentifiedOtherwise] = Field(
        default=None, description="commit of a hub CLIP; none = its main branch"
    )

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprints of both models: what recipe ids hash."""
        return {"diffusion": fingerprint(self.diffusion, self.diffusion_revision), "clip": fingerprint(self.clip, self.clip_revision)}

    @property
    def vae_identity(self) -> str:
        """Fingerprint of the autoencoder alone where it lies in a local folder: other U-Nets leave cached latents valid."""
        folder = Path(locate(self.diffusion)).expanduser() / "vae"
        return fingerprint(str(folder)) if folder.is_dir() else fingerprint(self.diffusion, self.diffusion_revision)


class _TextTower(CLIPTextModelWithProjection):
    """The text half of a saved CLIPModel: the other half is skipped without a report."""

    _keys_to_ignore_on_load_unexpected = (r"vision_model\..*", r"visual_projection\..*", "logit_scale")


def load_unet(models: BaseModels, dtype: torch.dtype = torch.float32) -> UNet2DConditionModel:
    """The U-Net, in evaluation mode."""
    with opening(models.diffusion):
        return UNet2DConditionModel.from_pretrained(**_component(models, "unet"), dtype=dtype).eval()


def load_vae(models: BaseModels) -> AutoencoderKL:
    """The autoencoder in float32, frozen."""
    with opening(models.diffusion):
        return AutoencoderKL.from_pretrained(**_component(models, "vae")).eval().requires_grad_(False)


def load_noise_scheduler(models: BaseModels) -> DDPMScheduler:
    """The noise schedule that the diffusion model was trained with (betas and prediction type of its own scheduler's configuration)."""
    with opening(models.diffusion):
        return DDPMScheduler.from_pretrained(**_component(models, "scheduler"))


def native_resolution(models: BaseModels) -> int:
    """Width in pixels of the square pictures that the diffusion model draws (512 for SD 1.5)."""
    with opening(models.diffusion):
        latents = UNet2DConditionModel.load_config(**_component(models, "unet"))["sample_size"]
        levels = len(AutoencoderKL.load_config(**_component(models, "vae"))["block_out_channels"])
    return int(latents * 2 ** (levels - 1))


def load_text_encoder(models: BaseModels, *, with_projection: bool = True) -> FrozenTextEncoder:
    """The diffusion model's own text encoder, by default with CLIP's text projection on top.

    Raises:
        ValueError: the two do not belong together: their widths differ.
    """
    with opening(models.diffusion):
        text_model = CLIPTextModel.from_pretrained(**_component(models, "text_encoder"))
        tokenizer = CLIPTokenizer.from_pretrained(**_component(models, "tokenizer"))
    if not with_projection:
        return FrozenTextEncoder(text_model, tokenizer)
    with opening(models.clip):
        clip = _TextTower.from_pretrained(locate(models.clip), revision=models.clip_revision or "main")
    width, needed = text_model.config.hidden_size, clip.text_projection.in_features
    if width != needed:
        raise ValueError(
            f"the text encoder of {models.diffusion} is {width} wide, the text projection of {models.clip} takes {needed}: "
            "give the CLIP that the diffusion model was trained with (SD 1.x: openai/clip-vit-large-patch14)"
        )
    return FrozenTextEncoder(text_model, tokenizer, clip.text_projection)


def _component(models: BaseModels, name: str) -> dict[str, str]:
    revision = models.diffusion_revision or "main"
    return {"pretrained_model_name_or_path": locate(models.diffusion), "subfolder": name, "revision": revision}
