"""One HiLoRA layer: ten low-rank pairs beside a frozen linear, mixed by the gates of each sample."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coemogen_core.model.gates import PAIRS


def gated_product(x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, gates: Tensor) -> Tensor:
    """`x W^T + b + ((x A^T) * g) B`, all tensors of one precision.

    Autograd's own way through these products writes the frozen linear's output twice and adds two gradients of x; here the pairs are added
    in place, both ways.

    Args:
        x: [batch, ..., in].
        weight: W [out, in], frozen.
        bias: b [out] or None, frozen.
        down: A [r, in], the pairs below each other.
        up: B [r, out].
        gates: g, broadcast over [batch, ..., r]; no gradient goes there.

    Returns:
        [batch, ..., out].
    """
    return _GatedProduct.apply(x, weight, bias, down, up, gates)


class _GatedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, gates: Tensor) -> Tensor:
        rows = x.flatten(0, -2)
        gated = F.linear(x, down).mul_(gates).flatten(0, -2)
        ctx.save_for_backward(rows, weight, down, up, gates, gated)
        return F.linear(rows, weight, bias).addmm_(gated, up).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, down, up, gates, gated = ctx.saved_tensors
        shape = gradients[0].shape[:-1]
        gradient = gradients[0].flatten(0, -2)
        hidden = (gradient @ up.t()).view(*shape, -1).mul_(gates).flatten(0, -2)
        to_x = (gradient @ weight).addmm_(hidden, down).view(*shape, -1) if ctx.needs_input_grad[0] else None
        return to_x, None, None, hidden.t() @ rows, gated.t() @ gradient, None


class GateInput(nn.Module):
    """The gates of the current forward pass, one object shared by all layers of a U-Net.

    Until the next `set`, every layer reads the same gates, so that gradient checkpointing recomputes with them as well.
    """

    value: Tensor | None  # [n, 1, 10 * rank], already multiplied by alpha / rank; None leaves the base model alone

    def __init__(self, rank: int, alpha: float) -> None:
        super().__init__()
        self.rank = rank
        self.scaling = alpha / rank
        self.register_buffer("value", None, persistent=False)

    def set(self, gates: Tensor | None) -> None:
        """Set gates [n, 10] (or [10] for all samples alike); None switches every pair off."""
        if gates is None:
            self.value = None
            return
        if gates.shape[-1] != len(PAIRS) or gates.dim() > 2:
            raise ValueError(f"gates of shape {tuple(gates.shape)}: expected [n, {len(PAIRS)}] in the order {', '.join(PAIRS)}")
        self.value = (gates.reshape(-1, 1, len(PAIRS)) * self.scaling).repeat_interleave(self.rank, dim=-1)


class HiLoRALinear(nn.Module):
    """`y = W x + sum_k g_k (alpha / rank) B_k A_k x`, W frozen (paper, HiLoRA).

    All ten pairs are computed as two dense products with the gates between them: cheaper than gathering each sample's pairs, and one
    batch may mix gates. `lora_A` is [10, rank, in]; `lora_B` is [10, rank, out], each B_k transposed so that the ten lie in memory as one
    matrix. Parameter `base` is the frozen linear.
    """

    def __init__(self, base: nn.Linear, rank: int, gate_input: GateInput) -> None:
        super().__init__()
        self.base = base
        self.rank = rank
        self.gate_input = gate_input
        self.lora_A = nn.Parameter(torch.empty(len(PAIRS), rank, base.in_features, device=base.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(len(PAIRS), rank, base.out_features, device=base.weight.device))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """A Kaiming-uniform (as an nn.Linear), B zero: training starts at the base model exactly."""
        bound = 1 / math.sqrt(self.base.in_features)
        with torch.no_grad():
            drawn = torch.rand(self.lora_A.shape, generator=generator)
            self.lora_A.copy_((drawn * 2 - 1) * bound)
            self.lora_B.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map x [batch, ..., in] to [batch, ..., out].

        Raises:
            ValueError: the batch is no multiple of the number of gates set.
        """
        gates = self.gate_input.value
        if gates is None:
            return self.base(x)
        dtype = _computing_dtype(x)
        down, up = self.lora_A.flatten(0, 1).to(dtype), self.lora_B.flatten(0, 1).to(dtype)  # float32 beside a half-precision base
        weight, bias = self.base.weight.to(dtype), None if self.base.bias is None else self.base.bias.to(dtype)
        return gated_product(x.to(dtype), weight, bias, down, up, self._expand(gates, x).to(dtype))

    def weight_delta(self, gate: Tensor) -> Tensor:
        """What one fixed gate [10] adds to the weight: float32 [out, in]."""
        weights = gate.to(self.lora_A) * self.gate_input.scaling
        return torch.einsum("k,kro,kri->oi", weights, self.lora_B, self.lora_A).detach()

    def _expand(self, gates: Tensor, x: Tensor) -> Tensor:
        """Repeat the gates for a classifier-free-guidance batch ([unconditional, conditional]) and match the dimensions of x."""
        batch = x.shape[0]
        if gates.shape[0] not in (1, batch):
            if batch % gates.shape[0]:
                raise ValueError(f"a batch of {batch} samples, but gates for {gates.shape[0]}: set one gate, or one per sample")
            gates = gates.repeat(batch // gates.shape[0], 1, 1)
        return gates.reshape(gates.shape[0], *[1] * (x.dim() - 2), gates.shape[-1])


def _computing_dtype(x: Tensor) -> torch.dtype:
    """What autocast asks for where it is on, else x's own; a device such as `meta` knows no autocast."""
    device = x.device.type
    is_on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if is_on else x.dtype
