"""A frozen linear and gated low-rank pairs as one differentiable product that copies nothing it need not."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


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
