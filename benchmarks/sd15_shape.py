"""Models of Stable Diffusion 1.5's shape with random weights: its speed without its download."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import nn
from training_rigs import FrozenParts
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from coemogen_core.lab import models_folder
from coemogen_core.model.text_encoder import FrozenTextEncoder

WIDTH = 768  # of CLIP ViT-L/14's text encoder and of its joint space
LATENT_SIDE = 64  # of a picture of 512 x 512 pixels
CROSS_DOWN, CROSS_UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"


def new_unet() -> UNet2DConditionModel:
    """The U-Net, 860 million parameters."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        down_block_types=(CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, "DownBlock2D"),
        up_block_types=("UpBlock2D", CROSS_UP, CROSS_UP, CROSS_UP),
        block_out_channels=(320, 640, 1280, 1280),
        layers_per_block=2,
        attention_head_dim=8,
        cross_attention_dim=WIDTH,
    ).eval()


def new_vae() -> AutoencoderKL:
    """The autoencoder."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=8 * LATENT_SIDE,
    ).eval()


def new_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """CLIP ViT-L/14's text encoder; the words come from any tokenizer with fewer of them."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49_408,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=12,
            num_attention_heads=12,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).eval()


def new_parts(device: torch.device, dtype: torch.dtype) -> FrozenParts:
    """All that a training step goes through, U-Net in channels-last order."""
    tokenizer = CLIPTokenizer.from_pretrained(Path(models_folder("diffusion")) / "tokenizer")
    with device:
        unet = new_unet().to(dtype, memory_format=torch.channels_last).requires_grad_(False)
        text = FrozenTextEncoder(new_text_model(tokenizer), tokenizer, nn.Linear(WIDTH, WIDTH, bias=False)).to(dtype)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="epsilon")
    return FrozenParts(unet, text, scheduler, visual_width=WIDTH)
