"""The variants of the method that an ablation study trains beside it (paper, section on ablations)."""

from typing import Any

from coemogen_core.training.recipes import TrainingRecipe
from schemas.ablations import VariantName

VARIANTS: dict[VariantName, dict[str, Any]] = {
    "full": {},
    "without L_SEM": {"semantic_weight": 0.0},
    "without emotion-specific LoRAs": {"use_emotion_pairs": False},
    "without polarity-shared LoRAs": {"use_polarity_pairs": False},
    "L_SEM as MAE": {"semantic_loss": "mae"},
    "L_SEM as MSE": {"semantic_loss": "mse"},
    "L_SEM as KL divergence": {"semantic_loss": "kl"},
}
"""By name, what differs from the full method's training recipe; its own L_SEM is the cosine."""

PAPER_EMO_A: dict[VariantName, float] = {
    "full": 0.8015,
    "without polarity-shared LoRAs": 0.7883,
    "without emotion-specific LoRAs": 0.7537,
    "without L_SEM": 0.6590,
}
"""Emo-A of the variants whose numbers the paper gives, best first (Stable Diffusion 1.5 on EmoSet)."""


def variant_recipe(base: TrainingRecipe, variant: VariantName, seed: int) -> TrainingRecipe:
    """The training recipe of one variant with one seed; the base is the full method's."""
    return base.model_copy(update={"seed": seed, **VARIANTS[variant]})
