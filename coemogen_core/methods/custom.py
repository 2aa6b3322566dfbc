"""A generator of somebody else's, found by its import path: `my_package.my_module:MyGenerator`."""

import importlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from coemogen_core.methods.generator import Generator
from coemogen_core.methods.method import Method
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe


@dataclass(frozen=True)
class CustomMethod(Method):
    """A subclass of `Generator`, made as `MyGenerator(models, recipe, **settings)`; whatever it needs to train is its own affair."""

    path: str
    settings: str  # JSON, so that the method stays hashable

    def __post_init__(self) -> None:
        """Import the class and see that the settings fit it, before any work starts."""
        given = json.loads(self.settings)
        try:
            inspect.signature(self._class).bind(None, None, **given)
        except TypeError as error:
            raise ValueError(f"{self.path} cannot be made as {self._class.__name__}(models, recipe, **{given}): {error}") from error

    @cached_property
    def _class(self) -> type[Generator]:
        module, _, name = self.path.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"method {self.path!r} cannot be imported ({error}): give package.module:Class, on Python's path") from error
        if not (isinstance(found, type) and issubclass(found, Generator)):
            raise ValueError(f"{self.path} is no subclass of coemogen_core.methods.generator.Generator: make it one")
        if found.identity is Generator.identity:
            raise ValueError(f"{self.path} has no `identity`: without it nobody knows when its stored pictures are out of date")
        return found

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:
        """Its path, settings and what it says itself."""
        own = self.load(models, recipe, "").identity
        try:
            json.dumps(own)
        except TypeError as error:
            raise ValueError(f"{self.path}: its identity cannot be written as JSON ({error})") from error
        return {"generator": self.path, "settings": json.loads(self.settings), "identity": own}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:  # noqa: ARG002
        """An instance. Its constructor is called often: it should load nothing large before the first picture."""
        make: Callable[..., Generator] = self._class  # a subclass has a constructor of its own
        return make(models, recipe, **json.loads(self.settings))
