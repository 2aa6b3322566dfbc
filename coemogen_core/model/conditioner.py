"""The conditioner: emotion and visual embedding in, text conditioning of the U-Net out (paper, its figure of the framework)."""

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from coemogen_core.model.emotion_input import EmotionInput, new_emotion_input
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.recipe import Recipe


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
