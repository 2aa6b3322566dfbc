"""Baseline: the base diffusion model with a prompt such as "an image of awe" (paper, first baseline)."""

from dataclasses import dataclass
from typing import Any

from coemogen_core.generation.generator import Generator, PlainDiffusionGenerator
from coemogen_core.generation.method import Method
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.base_models import BaseModels

PROMPT = "an image of {emotion}"


@dataclass(frozen=True)
class PlainDiffusion(Method):
    """Nothing is trained."""

    prompt: str = PROMPT

    def __post_init__(self) -> None:
        if "{emotion}" not in self.prompt:
            raise ValueError(f"{self.name}: prompt {self.prompt!r} holds no {{emotion}}: say where the emotion's name goes")

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """The prompt, unless it is the paper's."""
        return {} if self.prompt == PROMPT else {"prompt": self.prompt}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:  # noqa: ARG002
        """The base pipeline."""
        return PlainDiffusionGenerator(models, recipe, self.prompt)
