"""A model as training leaves it, made without training: random weights away from zero, clusters of five of the eight emotions."""

import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels, load_text_encoder, load_unet
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.conditioner import Conditioner, ConditionerConfig
from coemogen_core.model.hilora import ATTENTION_TARGETS, inject
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig


def new_trained_model(models: BaseModels, conditioner_config: ConditionerConfig | None = None, **training: str) -> SavedModel:
    generator = torch.Generator().manual_seed(0)
    hilora = inject(load_unet(models), rank=4)
    with torch.no_grad():
        for layer in hilora.layers.values():
            layer.lora_B.copy_(torch.randn(layer.lora_B.shape, generator=generator) * 0.05)
    conditioner = Conditioner(conditioner_config or ConditionerConfig(), load_text_encoder(models), visual_width=128)
    labels = torch.arange(5).repeat(6)  # amusement to anger: three emotions have no images
    clusters = EmotionClusters.fit(torch.randn(30, 128, generator=generator), labels)
    config = SavedModelConfig(
        base_models=models.identity,
        conditioner=conditioner.config,
        visual_width=128,
        rank=4,
        alpha=4,
        targets=ATTENTION_TARGETS,
        use_emotion_pairs=True,
        use_polarity_pairs=True,
        training={**training, "images_per_emotion": dict.fromkeys(EMOTIONS[:5], 6)},
    )
    return SavedModel(config, conditioner.state_dict(), hilora.state_dict(), clusters)
