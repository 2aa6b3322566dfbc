"""What stands for the emotion before it meets the visual embedding: the mapper, or one of the ablation's two other inputs (paper).

Each is a module from emotion weights [batch, 8] to descriptors [batch, tokens, width] in units of the spread of the word embeddings.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.text_encoder import FrozenTextEncoder


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


EmotionInput = Literal["one-hot", "class-vector", "emotion-word"]


class ClassVectors(nn.Module):
    """A learnt table, one descriptor per emotion; a fusion is their weighted sum."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(len(EMOTIONS), num_tokens, width))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the vectors with a spread of one, as the mapper's outputs have."""
        with torch.no_grad():
            self.vectors.copy_(torch.randn(self.vectors.shape, generator=generator))

    def forward(self, emotions: Tensor) -> Tensor:
        """Map emotion weights [batch, 8] to descriptors [batch, num_tokens, width]."""
        return torch.einsum("be,etw->btw", emotions, self.vectors)


class EmotionWords(nn.Module):
    """The frozen text encoder's own embeddings of the emotions' names; nothing is trained, nothing is saved.

    A name is one or more pieces of words. They are spread over the `num_tokens` places by adaptive average pooling: each piece is
    repeated where there are more places than pieces, neighbours are averaged where there are fewer. So every place asks for the emotion,
    which places of padding would not.
    """

    words: Tensor  # [8, num_tokens, width]

    def __init__(self, num_tokens: int, text_encoder: FrozenTextEncoder) -> None:
        super().__init__()
        pooled = [F.adaptive_avg_pool1d(text_encoder.word_pieces(emotion).float().t(), num_tokens).t() for emotion in EMOTIONS]
        self.register_buffer("words", torch.stack(pooled) / text_encoder.word_scale, persistent=False)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Nothing to draw."""

    def forward(self, emotions: Tensor) -> Tensor:
        """Map emotion weights [batch, 8] to descriptors [batch, num_tokens, width]."""
        return torch.einsum("be,etw->btw", emotions, self.words)


def new_emotion_input(
    kind: EmotionInput, num_tokens: int, hidden_width: int, text_encoder: FrozenTextEncoder
) -> NeuroSymbolicMapper | ClassVectors | EmotionWords:
    """The module of this kind, not yet initialised; `hidden_width` is the mapper's."""
    if kind == "class-vector":
        return ClassVectors(num_tokens, text_encoder.width)
    if kind == "emotion-word":
        return EmotionWords(num_tokens, text_encoder)
    return NeuroSymbolicMapper(num_tokens, text_encoder.width, hidden_width)
