"""Visual-perception encoder: cross-attention from the emotion descriptor to a CLIP image embedding (paper, its equation of e_v)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VisualPerceptionEncoder(nn.Module):
    """`e_v = e + softmax(e Wq (v Wk)^T / sqrt(d0)) v Wv`.

    Attention over the single vector v would be a no-op (the softmax of one key is 1), so v is first projected to `num_visual_tokens`
    tokens; `num_visual_tokens=1` takes v as it is, the literal reading. `residual=False` leaves out the leading `e`.
    """

    def __init__(
        self, width: int, visual_width: int, attention_width: int | None = None, num_visual_tokens: int = 4, *, residual: bool = True
    ) -> None:
        super().__init__()
        self.attention_width = attention_width or width
        self.visual_width = visual_width
        self.residual = residual
        self.num_visual_tokens = num_visual_tokens
        literal = num_visual_tokens == 1
        self.to_tokens = nn.Identity() if literal else nn.Linear(visual_width, num_visual_tokens * visual_width)
        self.to_query = nn.Linear(width, self.attention_width, bias=False)
        self.to_key = nn.Linear(visual_width, self.attention_width, bias=False)
        self.to_value = nn.Linear(visual_width, width, bias=False)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every projection with variance 1 / inputs: spreads of about one stay about one."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * module.in_features**-0.5)
                    if module.bias is not None:
                        module.bias.zero_()

    def forward(self, descriptor: Tensor, visual: Tensor) -> Tensor:
        """Attend.

        Args:
            descriptor: emotion descriptor e [batch, tokens, width].
            visual: CLIP image embedding v [batch, visual_width]; only its direction matters, so raw and unit-length vectors agree.

        Returns:
            e_v [batch, tokens, width].
        """
        directions = F.normalize(visual, dim=-1) * math.sqrt(self.visual_width)  # components of about one, as the descriptor's
        tokens = self.to_tokens(directions).unflatten(-1, (self.num_visual_tokens, self.visual_width))
        query, key, value = self.to_query(descriptor), self.to_key(tokens), self.to_value(tokens)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.attention_width)
        attended = scores.softmax(-1) @ value
        return descriptor + attended if self.residual else attended
