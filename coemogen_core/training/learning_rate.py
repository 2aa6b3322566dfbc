"""Learning rate as a pure function of the step: nothing to save, nothing to restore."""

import math

from coemogen_core.training.recipes import TrainingRecipe


def learning_rate_at(recipe: TrainingRecipe, step: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant or a half cosine down to zero after the last step."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(recipe.steps - recipe.warmup_steps, 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
