"""The conditioner: emotion and visual embedding in, text conditioning of the U-Net out (paper, its figure of the framework)."""

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from coemogen_core.model.mapper import NeuroSymbolicMapper
from coemogen_core.model.text_encoder import EncodedText, FrozenTextEncoder
from coemogen_core.model.visual_perception import VisualPerceptionEncoder


class ConditionerConfig(BaseModel):
    """Shape of the trainable part of the conditioner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_emotion_tokens: int = Field(default=8, ge=1, le=75, description="pseudo-words that describe the emotion")
    hidden_width: int = Field(default=512, ge=1, description="hidden width of the mapper")
    attention_width: int | None = Field(
        default=None, ge=1, description="d0 of the attention; null takes the text encoder's width (768 for SD 1.5)"
    )
    num_visual_tokens: int = Field(
        default=4, ge=1, description="keys/values made of the visual embedding; 1 is the paper's literal reading"
    )
    residual: bool = Field(default=True, description="add the emotion descriptor to what it attends to")


class Conditioner(nn.Module):
    """Mapper, visual-perception encoder (trainable) and text encoder (frozen, not part of the state dict)."""

    def __init__(self, config: ConditionerConfig, text_encoder: FrozenTextEncoder, visual_width: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.mapper = NeuroSymbolicMapper(config.num_emotion_tokens, text_encoder.width, config.hidden_width)
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
