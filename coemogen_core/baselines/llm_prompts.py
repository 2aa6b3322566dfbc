"""Baseline: a language model writes prompts for the emotion, plain Stable Diffusion draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from coemogen_core.baselines.prompt_file import PromptFile, read_prompt_file
from coemogen_core.emotions import parse_emotion
from coemogen_core.generation.generator import Generator, PromptedGenerator
from coemogen_core.generation.method import Method
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.base_models import BaseModels


@dataclass(frozen=True)
class LlmPrompts(Method):
    """Nothing is trained. The picture of seed s takes prompt s modulo their number."""

    file: str = "lab.v1"

    def __post_init__(self) -> None:
        """Read the file before any work starts."""
        assert self.prompts

    @cached_property
    def prompts(self) -> PromptFile:
        """The prompts."""
        return read_prompt_file(self.file)

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """The prompts, who wrote them and what was asked."""
        return {"prompts": self.prompts.identity}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:  # noqa: ARG002
        """The base pipeline."""
        return LlmPromptGenerator(models, recipe, self.prompts)


class LlmPromptGenerator(PromptedGenerator):
    """The base diffusion model with the prompts of a file."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompts: PromptFile) -> None:
        super().__init__(models, recipe)
        self._prompts = prompts

    @property
    def identity(self) -> dict[str, Any]:
        """Base model, prompts and generation recipe."""
        fields = {"diffusion": self._models.identity["diffusion"], "recipe": self._recipe.identity}
        return {"generator": "llm-prompts", "prompts": self._prompts.identity, **fields}

    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The prompts take turns."""
        wanted = parse_emotion(emotion)
        return [self._prompts.prompt(wanted, seed) for seed in seeds]
