"""A frozen text encoder, a tiny U-Net, and a HiLoRA on a copy of it."""

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel

from coemogen_core.model.base_models import BaseModels, load_text_encoder
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.model.text_encoder import FrozenTextEncoder


@pytest.fixture(scope="module")
def text_encoder(models: BaseModels) -> FrozenTextEncoder:
    return load_text_encoder(models)


@pytest.fixture(scope="module")
def base() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=24,
    ).eval()


@pytest.fixture
def adapted(base) -> tuple[UNet2DConditionModel, HiLoRA]:
    """A HiLoRA on a copy of the base with all pairs away from zero."""
    unet = copy.deepcopy(base)
    hilora = inject(unet, rank=4, alpha=6.0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for layer in hilora.layers.values():
            layer.lora_B.copy_(torch.randn(layer.lora_B.shape, generator=generator) * 0.2)
    return unet, hilora
