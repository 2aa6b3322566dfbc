"""FLOPs of one sample's training step at Stable Diffusion 1.5's shape, counted on torch's meta device: no weights, no time, no machine."""

from collections.abc import Callable

import torch
from peft import LoraConfig
from sd15_shape import LATENT_SIDE, WIDTH, new_parts, new_vae
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from coemogen_core.model.gates import gate_for
from coemogen_core.model.hilora import ATTENTION_TARGETS, inject

META = torch.device("meta")
PSEUDO_WORDS = 8


def count_flops(work: Callable[[], object]) -> float:
    """FLOPs of what `work` runs; attention counts as its two plain products, whatever kernel a device has for it."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return float(counter.get_total_flops())


def flops_from_cache() -> float:
    """Ours: pseudo-words through the text encoder, the U-Net with HiLoRA, and back; latents and captions come from the cache."""
    parts = new_parts(META, torch.float32)
    hilora = inject(parts.unet)
    hilora.set_gates(gate_for("awe").to(META))
    words = torch.empty(1, PSEUDO_WORDS, WIDTH, device=META, requires_grad=True)

    def step() -> None:
        encoded = parts.text_encoder(words)
        (parts.unet(_latents(), 0, encoder_hidden_states=encoded.sequence).sample.mean() + encoded.pooled.mean()).backward()

    return count_flops(step)


def flops_with_encoders(rank: int = 4) -> float:
    """As diffusers' example: the picture through the autoencoder, the caption through the text encoder, one LoRA in the U-Net."""
    parts, picture = new_parts(META, torch.float32), torch.empty(1, 3, 8 * LATENT_SIDE, 8 * LATENT_SIDE, device=META)
    with META:
        vae = new_vae().requires_grad_(False)
    parts.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION_TARGETS)))
    ids = parts.text_encoder.template(PSEUDO_WORDS)

    def step() -> None:
        with torch.no_grad():
            vae.encode(picture)
            sequence = parts.text_encoder.text_model(ids).last_hidden_state
        parts.unet(_latents(), 0, encoder_hidden_states=sequence).sample.mean().backward()

    return count_flops(step)


def _latents() -> torch.Tensor:
    return torch.empty(1, 4, LATENT_SIDE, LATENT_SIDE, device=META)
