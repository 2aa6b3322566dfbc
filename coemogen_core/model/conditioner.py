"""The conditioner: emotion and visual embedding in, text conditioning of the U-Net out (paper, its figure of the framework).

What stands for the emotion before it meets the visual embedding is the mapper, or one of the ablation's two other inputs: each a module
from emotion weights [batch, 8] to descriptors [batch, tokens, width] in units of the spread of the word embeddings.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.recipe import Recipe

EmotionInput = Literal["one-hot", "class-vector", "emotion-word"]
SemanticLoss = Literal["cosine", "mae", "mse", "kl"]


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


class ConditionerConfig(Recipe):
    """Shape of the trainable part of the conditioner."""

    emotion_input: EmotionInput = Field(
        default="one-hot",
        description="one-hot through the mapper, or the ablation's a learnt class-vector, or the frozen embedding of the emotion-word",
    )
    num_emotion_tokens: int = Field(default=8, ge=1, le=75, description="pseudo-words that describe the emotion")
    hidden_width: int = Field(default=512, ge=1, description="hidden width of the mapper; one-hot only")
    attention_width: int | None = Field(
        default=None, ge=1, description="d0 of the attention; null takes the text encoder's width (768 for SD 1.5)"
    )
    num_visual_tokens: int = Field(
        default=4, ge=1, description="keys/values made of the visual embedding; 1 is the paper's literal reading"
    )
    residual: bool = Field(default=True, description="add the emotion descriptor to what it attends to")


class Conditioner(nn.Module):
    """Mapper or its alternative, visual-perception encoder (trainable) and text encoder (frozen, not part of the state dict)."""

    def __init__(self, config: ConditionerConfig, text_encoder: FrozenTextEncoder, visual_width: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.mapper = new_emotion_input(config.emotion_input, config.num_emotion_tokens, config.hidden_width, text_encoder)
        self.visual_perception = VisualPerceptionEncoder(
            text_encoder.width, visual_width, config.attention_width, config.num_visual_tokens, residual=config.residual
        )
        generator = torch.Generator().manual_seed(seed)
        self.mapper.reset_parameters(generator)
        self.visual_perception.reset_parameters(generator)
        self.word_scale = text_encoder.word_scale
        self._text_encoder = [text_encoder]  # in a list, so that it is no submodule: its weights are neither trained nor saved

    @property
    def text_encoder(self) -> FrozenTextEncoder:
        """The frozen text encoder."""
        return self._text_encoder[0]

    @property
    def device(self) -> torch.device:
        """Where its parameters lie."""
        return self.visual_perception.to_query.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of its parameters."""
        return self.visual_perception.to_query.weight.dtype

    def forward(self, emotions: Tensor, visual: Tensor) -> EncodedText:
        """Make the conditioning.

        Args:
            emotions: weights over the eight emotions [batch, 8]; one-hot for a single emotion.
            visual: CLIP image embeddings v [batch, visual_width] of any length.

        Returns:
            The sequence for the U-Net [batch, 77, width] and the pooled, projected e_c [batch, projection] for the semantic loss.
        """
        return self.text_encoder(self.pseudo_words(emotions, visual))

    def pseudo_words(self, emotions: Tensor, visual: Tensor) -> Tensor:
        """The embeddings e_v that enter the text encoder, in its word embeddings' scale: [batch, num_emotion_tokens, width]."""
        return self.visual_perception(self.mapper(emotions), visual) * self.word_scale


def semantic_loss(conditioning: Tensor, caption: Tensor, kind: SemanticLoss = "cosine") -> Tensor:
    """L_SEM of each sample.

    Args:
        conditioning: pooled, projected e_c [batch, d].
        caption: pooled, projected embedding of the caption [batch, d].
        kind: `cosine` is 1 - cos (paper, in [0, 2]); `mae`, `mse` and `kl` (divergence of the conditioning's softmax from the
            caption's) are the ablation's alternatives.

    Returns:
        [batch], at least 0.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "cosine":
        return 1 - F.cosine_similarity(conditioning, caption, dim=-1)
    if kind == "mae":
        return (conditioning - caption).abs().mean(-1)
    if kind == "mse":
        return (conditioning - caption).square().mean(-1)
    if kind == "kl":
        return F.kl_div(conditioning.log_softmax(-1), caption.log_softmax(-1), reduction="none", log_target=True).sum(-1)
    raise ValueError(f"unknown semantic loss {kind!r}; expected cosine, mae, mse or kl")
