"""One fixed gate of HiLoRA as an ordinary LoRA, and the two spellings in which other tools read one."""

from collections.abc import Iterable, Mapping

import torch
from diffusers.utils import convert_state_dict_to_kohya
from torch import Tensor

from coemogen_core.model.gates import PAIRS

_A, _B = ".lora_A.", ".lora_B."


def layer_names(hilora: Iterable[str]) -> list[str]:
    """Names of the adapted linears, in order, from the names of a HiLoRA's tensors."""
    return list(dict.fromkeys(name.rpartition(_A)[0] for name in hilora if _A in name))


def collapse(hilora: Mapping[str, Tensor], gate: Tensor, scaling: float) -> dict[str, Tensor]:
    """Stack the open pairs along the rank: `<layer>.lora_A.weight` [r, in] and `<layer>.lora_B.weight` [out, r].

    One emotion opens two pairs, so a HiLoRA of rank 4 gives r = 8. Gate and scaling are folded into B, so that the LoRA's own alpha is r.

    Args:
        hilora: what `HiLoRA.state_dict` returns.
        gate: [10].
        scaling: alpha / rank of the HiLoRA.

    Raises:
        ValueError: all gates are zero.
    """
    opened = [(pair, weight) for pair, weight in zip(PAIRS, gate.tolist(), strict=True) if weight]
    if not opened:
        raise ValueError("a gate of zeros is the base model: there is no LoRA to export")
    state = {}
    for layer in layer_names(hilora):
        state[f"{layer}.lora_A.weight"] = torch.cat([hilora[layer + _A + pair] for pair, _ in opened])
        state[f"{layer}.lora_B.weight"] = torch.cat([hilora[layer + _B + pair] * (weight * scaling) for pair, weight in opened], dim=1)
    return state


def in_pipelines_names(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As diffusers' pipelines save and load it: `unet.<layer>.lora_A.weight`."""
    return {f"unet.{name}": tensor for name, tensor in lora.items()}


def in_kohyas_names(lora: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As sd-scripts, ComfyUI and A1111 spell it: `lora_unet_<layer>.lora_down.weight`, `.lora_up.weight`, `.alpha` (a number: the rank)."""
    return convert_state_dict_to_kohya(in_pipelines_names(lora))
