"""How AdamW follows the batch, so that a training with larger steps moves as far per sample: the square-root scaling rule.

Malladi et al. 2022 ("On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", arXiv 2205.10287): with k times the samples in a
step and so one k-th of the steps, the learning rate grows by sqrt(k), and the moments forget k times faster. A gradient that is mostly
noise is divided by its own size, which falls by sqrt(k): then as many samples carry the weights as far, with as much noise. The decay
rates become beta**k (half-lives count in samples; Marek et al. 2025, arXiv 2507.07101), which is 1 - k (1 - beta) for small k and stays
positive; weight decay per sample stays as it is.

k is not the same for all weights. The conditioner learns from every sample, an emotion's pair from those of its emotion. With eight
emotions in turn, a step of one sample trains one pair in eight, with one sample, and a step of 32 trains all of them, with four each: k is
32 for the conditioner, 16 for the polarities' pairs and 4 for the emotions'.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


def batch_growth(shares: Tensor, batch_size: int, base_batch: int | None) -> Tensor:
    """How many times the samples of a step at `base_batch` rows of weights see in one at `batch_size`: k, float32 [rows].

    Args:
        shares: of all samples, those that train a row, 0 to 1, [rows].
        batch_size: samples per step.
        base_batch: samples per step that learning rate and decay rates are given for; None is `batch_size`, where nothing grows.

    A row counts the steps that train it alone (`PairwiseAdamW`), and in those it sees one sample at least.
    """
    now, then = ((size * shares).clamp(min=1.0) for size in (batch_size, base_batch or batch_size))
    return (now / then).float()


@dataclass(frozen=True)
class ScaledAdamW:
    """AdamW's settings for rows that see `growth` times the samples, float32 [rows, 1] each, rounded once."""

    rate: Tensor
    beta1: Tensor
    beta2: Tensor
    fresh1: Tensor  # 1 - beta1
    fresh2: Tensor  # 1 - beta2
    kept: Tensor  # of a weight, by one step's weight decay

    @classmethod
    def of(cls, growth: Tensor, rate: float, betas: tuple[float, float], weight_decay: float, device: torch.device) -> Self:
        """Those of a learning rate, decay rates and weight decay that are given for a growth of 1, at `growth` [rows]."""
        k = growth.double()
        beta1, beta2 = (torch.tensor(beta, dtype=k.dtype) ** k for beta in betas)
        settings = torch.stack([rate * k.sqrt(), beta1, beta2, 1 - beta1, 1 - beta2, 1 - rate * weight_decay * k])
        return cls(*settings.float()[:, :, None].to(device).unbind(0))
