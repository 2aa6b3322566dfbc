"""Generators: one interface for every method that makes pictures of an emotion, so that all are compared alike."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from coemogen_core.generation.denoising import batches, denoising_arguments, load_base_pipeline, use_scheduler
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe


class Generator(ABC):
    """Makes pictures of an emotion. Subclass it to compare a generator of your own."""

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """JSON-serialisable fields that decide what a seed's picture becomes: they key the cache of samples."""

    @abstractmethod
    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One RGB picture per seed, each a function of emotion and seed alone."""


class CoEmoGenGenerator(Generator):
    """A trained model: conditioner and HiLoRA on the base models."""

    def __init__(self, models: BaseModels, folder: str, recipe: GenerationRecipe) -> None:
        """Load from the folder `runs/<run_id>/model` (any fsspec URI)."""
        self._pipeline = EmotionPipeline.from_run(models, folder, recipe.device)
        self._models, self._recipe = models, recipe
        self._lock = threading.Lock()

    @property
    def identity(self) -> dict[str, Any]:
        """Base models, the trained model's recipe and data, and the generation recipe."""
        return {
            "generator": "coemogen",
            "models": self._models.identity,
            "training": self._pipeline.trained.training,
            "recipe": self._recipe.identity,
        }

    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One picture per seed, its visual embedding drawn from the emotion's cluster."""
        with self._lock:  # gates are state of the U-Net
            return self._pipeline.generate(emotion, seeds, self._recipe)


class PromptedGenerator(Generator):
    """The base diffusion model with prompts: the same noise, sampler and guidance as every other method."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe) -> None:
        """Load the base pipeline."""
        self._base = load_base_pipeline(models, recipe.device)
        self._scheduler = self._base.scheduler
        self._models, self._recipe = models, recipe
        self._lock = threading.Lock()

    @abstractmethod
    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The prompt of each picture."""

    def prepare(self, emotion: str) -> None:
        """Make the base pipeline ready for an emotion."""

    @torch.inference_mode()
    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        """One picture per seed from the emotion's prompts."""
        pictures: list[Image.Image] = []
        with self._lock:
            self.prepare(emotion)
            for chunk in batches(seeds, self._recipe.batch_size):
                use_scheduler(self._base, self._scheduler, self._recipe)
                prompts = self.prompts(emotion, chunk)
                result = self._base(prompt=prompts, **denoising_arguments(self._base, self._recipe, chunk))
                pictures.extend(result.images)
        return pictures


class PlainDiffusionGenerator(PromptedGenerator):
    """The base diffusion model with a prompt such as "an image of awe" (paper, first baseline)."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str = "an image of {emotion}") -> None:
        """Load the base pipeline; `prompt` holds `{emotion}` where the emotion's name goes."""
        super().__init__(models, recipe)
        self._prompt = prompt

    @property
    def identity(self) -> dict[str, Any]:
        """Base model, prompt and generation recipe."""
        return {
            "generator": "plain",
            "diffusion": self._models.identity["diffusion"],
            "prompt": self._prompt,
            "recipe": self._recipe.identity,
        }

    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The same for every picture."""
        return [self._prompt.format(emotion=emotion)] * len(seeds)
