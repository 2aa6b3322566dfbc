"""The configuration of the model that a training makes."""

from collections import Counter

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.saved_model import SavedModelConfig
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.recipes import TrainingRecipe


def model_config(recipe: TrainingRecipe, models: BaseModels, features: FeatureSet, data: dict[str, str]) -> SavedModelConfig:
    """What is needed to put the trained model on its base models again; `data` says what it was trained on."""
    counts = Counter(features.labels.tolist())
    return SavedModelConfig(
        base_models=models.identity,
        conditioner=recipe.conditioner,
        visual_width=features.visual_width,
        rank=recipe.rank,
        alpha=float(recipe.rank if recipe.alpha is None else recipe.alpha),
        targets=recipe.targets,
        use_emotion_pairs=recipe.use_emotion_pairs,
        use_polarity_pairs=recipe.use_polarity_pairs,
        training={
            "recipe": recipe.identity,
            **data,
            "images_per_emotion": {emotion: counts[index] for index, emotion in enumerate(EMOTIONS)},
        },
    )
