"""A generator of somebody else's, as docs/experiments.md shows it."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.generator import Generator
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe


class GreyGenerator(Generator):
    """Flat pictures: how light, the emotion and the seed decide."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, *, side: int = 64) -> None:
        self.side = side

    @property
    def identity(self) -> dict[str, Any]:
        return {"version": 1}

    def generate(self, emotion: str, seeds: Sequence[int]) -> list[Image.Image]:
        lightness = 30 * EMOTIONS.index(emotion)
        return [Image.new("RGB", (self.side, self.side), (lightness, lightness, seed % 256)) for seed in seeds]
