"""Neuro-symbolic mapper: from an emotion category to pseudo-words of the text encoder (paper, section on the mapper)."""

import torch
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS


class NeuroSymbolicMapper(nn.Module):
    """One-hot emotion (or fusion weights) -> fully connected + non-linearity -> the emotion descriptor `e`.

    The paper leaves the number of tokens open; we take `num_tokens` pseudo-words. Outputs are in units of the spread of the text encoder's
    word embeddings (about 1 at initialisation), so that the same learning rate suits every text encoder.
    """

    def __init__(self, num_tokens: int, width: int, hidden_width: int = 512) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.width = width
        self.layers = nn.Sequential(nn.Linear(len(EMOTIONS), hidden_width), nn.SiLU(), nn.Linear(hidden_width, num_tokens * width))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights so that hidden units and outputs have a spread of about one for a one-hot input."""
        first, last = self.layers[0], self.layers[2]
        with torch.no_grad():
            first.weight.copy_(torch.randn(first.weight.shape, generator=generator))
            last.weight.copy_(torch.randn(last.weight.shape, generator=generator) * (2 / last.in_features) ** 0.5)
            first.bias.zero_()
            last.bias.zero_()

    def forward(self, emotions: Tensor) -> Tensor:
        """Map emotion weights [batch, 8] to descriptors [batch, num_tokens, width]."""
        return self.layers(emotions).unflatten(-1, (self.num_tokens, self.width))
