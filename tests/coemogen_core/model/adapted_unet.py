"""Inputs of a tiny U-Net, and what is read off a HiLoRA on it (the fixtures `base` and `adapted`)."""

import torch

from coemogen_core.model.hilora import ATTENTION_TARGETS, HiLoRA

TARGETS = list(ATTENTION_TARGETS)


def inputs(batch: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(batch, 4, 8, 8, generator=generator),
        "timestep": torch.arange(batch) * 37 + 5,
        "encoder_hidden_states": torch.randn(batch, 6, 24, generator=generator),
    }


def rows(batch: dict[str, torch.Tensor], index: slice) -> dict[str, torch.Tensor]:
    return {name: tensor[index] for name, tensor in batch.items()}


def gradients(hilora: HiLoRA) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in hilora.parameters()]
