"""Learning rate as a pure function of the step: nothing to save, nothing to restore."""

import math

from coemogen_core.training.optimisation import OptimisationRecipe


def learning_rate_at(recipe: OptimisationRecipe, step: int) -> float:
    """Learning rate of a step counted from 0: linear warm-up, then constant, or down to zero after the last step.

    The way down is a straight line (linear) or a half cosine; both are those of `diffusers.get_scheduler`.
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(recipe.steps - recipe.warmup_steps, 1)
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - progress)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
