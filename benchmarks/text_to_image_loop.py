"""The usual way to train a LoRA, as a yardstick: a loop built like diffusers' examples/text_to_image/train_text_to_image_lora.py.

Written anew after its structure. In every step a DataLoader decodes pictures and tokenises captions, the autoencoder encodes the pictures
and the text encoder the captions; one PEFT LoRA, torch's AdamW, accelerate around all. Logging, validation and checkpoints are left out.
"""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.optimization import get_scheduler
from drawn_corpus import DrawnPhoto
from peft import LoraConfig
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerBase

from coemogen_core.model.base_models import BaseModels, load_noise_scheduler, load_text_encoder, load_unet, load_vae
from coemogen_core.model.text_encoder import FrozenTextEncoder

Example = dict[str, Tensor]


class CaptionedPhotos(Dataset[Example]):
    """Pictures and captions, decoded, scaled, cropped, mirrored and tokenised when they are asked for."""

    def __init__(self, photos: Sequence[DrawnPhoto], tokenizer: PreTrainedTokenizerBase, resolution: int) -> None:
        self._photos, self._tokenizer, self._resolution = photos, tokenizer, resolution

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, index: int) -> Example:
        photo = self._photos[index]
        picture = Image.open(io.BytesIO(photo.data)).convert("RGB")
        picture = ImageOps.fit(picture, (self._resolution, self._resolution), method=Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            picture = ImageOps.mirror(picture)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
        length = self._tokenizer.model_max_length
        ids = self._tokenizer(photo.caption, max_length=length, padding="max_length", truncation=True, return_tensors="pt").input_ids[0]
        return {"pixels": pixels, "ids": ids}


@dataclass(frozen=True)
class LoopModels:
    """What the loop computes with, in float32; the U-Net gets its LoRA from the loop."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: FrozenTextEncoder
    noise_scheduler: DDPMScheduler

    @classmethod
    def load(cls, models: BaseModels) -> "LoopModels":
        """Base models by folder or hub id."""
        return cls(load_unet(models), load_vae(models), load_text_encoder(models).float(), load_noise_scheduler(models))


class TextToImageLoop:
    """The loop's models, optimizer and data; `step` is one optimizer step."""

    def __init__(self, models: LoopModels, photos: Sequence[DrawnPhoto], resolution: int, batch_size: int, rank: int = 4) -> None:
        self._accelerator = Accelerator(cpu=True)
        self._noise_scheduler = models.noise_scheduler
        text = models.text_encoder
        self._text_encoder, self._vae = text.text_model, models.vae.requires_grad_(False)
        unet = models.unet.requires_grad_(False).train()
        targets = ["to_k", "to_q", "to_v", "to_out.0"]
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=targets))
        self._trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(self._trained, lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
        examples = CaptionedPhotos(photos, text.tokenizer, resolution)
        loader: DataLoader[Example] = DataLoader(examples, batch_size=batch_size, shuffle=True, drop_last=True)
        schedule = get_scheduler("constant", optimizer=optimizer)
        self._unet, self._optimizer, self._loader, self._schedule = self._accelerator.prepare(unet, optimizer, loader, schedule)
        self._batches = self._endless()

    def step(self) -> float:
        """Take one step; returns its loss."""
        batch = next(self._batches)
        latents = self._vae.encode(batch["pixels"]).latent_dist.sample() * self._vae.config.scaling_factor
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, self._noise_scheduler.config.num_train_timesteps, (len(latents),), device=latents.device).long()
        noisy = self._noise_scheduler.add_noise(latents, noise, timesteps)
        encoded = self._text_encoder(batch["ids"], return_dict=False)[0]
        predicted = self._unet(noisy, timesteps, encoded, return_dict=False)[0]
        loss = F.mse_loss(predicted.float(), noise.float(), reduction="mean")
        average = self._accelerator.gather(loss.repeat(len(latents))).mean().item()
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        return float(average)

    def _endless(self) -> Iterator[Example]:
        while True:
            yield from self._loader
