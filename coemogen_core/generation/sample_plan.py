"""What pictures a method is to make: how many, from which seeds, how; and in which parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coemogen_core.emotions import EMOTIONS, parse_emotion
from coemogen_core.generation.method import Method
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.generation.sample_set import emotion_of
from coemogen_core.model.base_models import BaseModels
from coemogen_core.recipe import recipe_id

PART_SIZE = 100
"""Pictures of one part: what a killed run loses at most. Not part of any id: a picture does not depend on its neighbours."""


@dataclass(frozen=True)
class SamplePlan:
    """`count` pictures of every emotion by one method; image k has seed `seed + k`, the same noise for every method and emotion."""

    method: Method
    count: int
    seed: int
    recipe: GenerationRecipe
    models: BaseModels
    model_run_id: str | None = None  # the run that holds the trained model, for methods that have one

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the pictures; `samples/<method>/recipe.json` holds it."""
        trained = {} if self.model_run_id is None else {"model": self.model_run_id}
        return {
            "method": self.method.name,
            "count": self.count,
            "seed": self.seed,
            "recipe": self.recipe.identity,
            "models": self.models.identity,
            **trained,
            **self.method.sample_identity(self.models, self.recipe),
        }

    @property
    def run_id(self) -> str:
        """Recipe id of the run that holds these samples; a baseline's does not change with the trained model."""
        return recipe_id("samples", self.settings)

    def pictures(self, part: str) -> tuple[str, range]:
        """Emotion and numbers of the pictures of one part.

        Raises:
            ValueError: no such part.
        """
        emotion = parse_emotion(emotion_of(part))
        if part not in self.parts([emotion]):
            known = ", ".join(self.parts([emotion]))
            raise ValueError(f"no part {part!r} in a plan of {self.count} pictures an emotion: expected one of {known}")
        first = int(part.partition("-")[2])
        return emotion, range(first, min(first + PART_SIZE, self.count))

    def parts(self, emotions: Sequence[str] = EMOTIONS) -> list[str]:
        """Names of all parts, `<emotion>-<number of its first picture>`."""
        return [f"{emotion}-{first:05d}" for emotion in emotions for first in range(0, self.count, PART_SIZE)]
