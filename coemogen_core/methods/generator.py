"""Generators: one interface for every method that makes pictures of an emotion, so that all are compared alike."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from coemogen_core.generation.denoising import batches, denoising_arguments, load_base_pipeline, use_scheduler
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe


class Generator(ABC):
    """Makes pictures of an emotion. Subclass it to compare a generator of your own."""

    @property
    def identity(self) -> dict[str, Any]:
        """JSON-serialisable fields that decide what a seed's picture becomes: they key the cache of samples.

        A generator of your own must have them; for those of the package `Method.sample_identity` has.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `identity`: say what decides its pictures")

    @abstractmethod
    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One RGB picture per seed, each a function of emotion and seed alone."""


class DiffusionGenerator(Generator):
    """The base diffusion model under some conditioning: the same noise, sampler and guidance as every other method."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe) -> None:
        """Load the base pipeline."""
        self._base = load_base_pipeline(models, recipe.device)
        self._scheduler = self._base.scheduler
        self._recipe = recipe
        self._lock = threading.Lock()

    @abstractmethod
    def conditioning(self, emotion: str, seeds: Sequence[int]) -> dict[str, Any]:
        """What the base pipeline is called with besides noise and settings: `prompt`, or `prompt_embeds` and its negative.

        Raises:
            ValueError: the training corpus lacked this emotion.
        """

    @torch.inference_mode()
    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One picture per seed."""
        pictures: list[Image.Image] = []
        with self._lock:
            for chunk in batches(seeds, self._recipe.batch_size):
                conditioning = self.conditioning(emotion, chunk)
                use_scheduler(self._base, self._scheduler, self._recipe)
                pictures.extend(self._base(**conditioning, **denoising_arguments(self._base, self._recipe, chunk)).images)
        return pictures


class PromptedGenerator(DiffusionGenerator):
    """The base diffusion model with prompts."""

    @abstractmethod
    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The prompt of each picture."""

    def conditioning(self, emotion: str, seeds: Sequence[int]) -> dict[str, Any]:
        """The prompts, as they are, against the recipe's negative prompt."""
        return {"prompt": self.prompts(emotion, seeds), "negative_prompt": [self._recipe.negative_prompt] * len(seeds)}
