"""The methods that only write prompts: plain Stable Diffusion, and prompts that a language model wrote."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from coemogen_core.emotions import EMOTIONS, Emotion, parse_emotion
from coemogen_core.methods.generator import Generator, PromptedGenerator
from coemogen_core.methods.method import Method
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.recipe import NotIdentifying, Recipe
from coemogen_core.storage.whole_file import write_atomically

PROMPT = "an image of {emotion}"


@dataclass(frozen=True)
class PlainDiffusion(Method):
    """Nothing is trained."""

    prompt: str = PROMPT

    def __post_init__(self) -> None:
        if "{emotion}" not in self.prompt:
            raise ValueError(f"{self.name}: prompt {self.prompt!r} holds no {{emotion}}: say where the emotion's name goes")

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """The prompt."""
        return {"prompt": self.prompt}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:  # noqa: ARG002
        """The base pipeline."""
        return PlainDiffusionGenerator(models, recipe, self.prompt)


class PlainDiffusionGenerator(PromptedGenerator):
    """The base diffusion model with a prompt such as "an image of awe" (paper, first baseline)."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompt: str = PROMPT) -> None:
        super().__init__(models, recipe)
        self._prompt = prompt

    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The same for every picture."""
        return [self._prompt.format(emotion=emotion)] * len(seeds)


FOLDER = files("coemogen_core.methods") / "prompts"


class PromptFile(Recipe):
    """The content of a file of prompts."""

    model: Annotated[str, NotIdentifying] = Field(min_length=1, description="who wrote them")
    request: Annotated[str, NotIdentifying] = Field(min_length=1, description="what the model was asked; {emotion} = the emotion's name")
    written: Annotated[str | None, NotIdentifying] = Field(default=None, description="when, for people")
    prompts: dict[Emotion, tuple[str, ...]] = Field(description="for every emotion the prompts, one or more")

    @field_validator("prompts")
    @classmethod
    def _has_all(cls, prompts: dict[Emotion, tuple[str, ...]]) -> dict[Emotion, tuple[str, ...]]:
        if missing := [emotion for emotion in EMOTIONS if not prompts.get(emotion)]:
            raise ValueError(f"no prompts for {', '.join(missing)}")
        if any(not prompt.strip() for found in prompts.values() for prompt in found):
            raise ValueError("a prompt is empty")
        return prompts

    def prompt(self, emotion: Emotion, seed: int) -> str:
        """The prompt of the picture of a seed: they take turns."""
        found = self.prompts[emotion]
        return found[seed % len(found)]

    def to_toml(self) -> str:
        """As `read_prompt_file` reads it."""
        head = {"model": self.model, "request": self.request, **({} if self.written is None else {"written": self.written})}
        lines = [f"{key} = {_quoted(value)}" for key, value in head.items()] + ["", "[prompts]"]
        for emotion in EMOTIONS:
            lines += [f"{emotion} = [", *(f"  {_quoted(prompt)}," for prompt in self.prompts[emotion]), "]"]
        return "\n".join(lines) + "\n"


def read_prompt_file(name: str) -> PromptFile:
    """Read a shipped file by its name (`lab.v1`), or any other by its path.

    Raises:
        FileNotFoundError: there is no such file; the message lists those shipped.
        ValueError: it is not what `PromptFile` describes; the message names the file.
    """
    shipped = {file.name.removesuffix(".toml"): file for file in FOLDER.iterdir() if file.name.endswith(".toml")}
    if name not in shipped and not Path(name).is_file():
        raise FileNotFoundError(f"no file of prompts {name}: give a path, or one of those that come with the package: {', '.join(shipped)}")
    text = shipped[name].read_text(encoding="utf-8") if name in shipped else Path(name).read_text(encoding="utf-8")
    try:
        return PromptFile.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{name} is no file of prompts: {error}") from error


def write_prompt_file(prompts: PromptFile, file: Path) -> None:
    """Write a file whole or not at all."""
    write_atomically(str(file.resolve()), prompts.to_toml().encode())


def _quoted(text: str) -> str:
    """A TOML string: JSON's are, once the one control character is gone that JSON leaves as it is."""
    return json.dumps(text.replace("\x7f", ""), ensure_ascii=False)


@dataclass(frozen=True)
class LlmPrompts(Method):
    """Nothing is trained. The picture of seed s takes prompt s modulo their number."""

    file: str = "lab.v1"

    def __post_init__(self) -> None:
        """Read the file before any work starts."""
        _ = self.prompts

    @cached_property
    def prompts(self) -> PromptFile:
        """The prompts."""
        return read_prompt_file(self.file)

    def sample_identity(self, models: BaseModels, recipe: GenerationRecipe) -> dict[str, Any]:  # noqa: ARG002
        """The prompts."""
        return {"prompts": self.prompts.identity}

    def load(self, models: BaseModels, recipe: GenerationRecipe, model_folder: str) -> Generator:  # noqa: ARG002
        """The base pipeline."""
        return LlmPromptGenerator(models, recipe, self.prompts)


class LlmPromptGenerator(PromptedGenerator):
    """The base diffusion model with the prompts of a file."""

    def __init__(self, models: BaseModels, recipe: GenerationRecipe, prompts: PromptFile) -> None:
        super().__init__(models, recipe)
        self._prompts = prompts

    def prompts(self, emotion: str, seeds: Sequence[int]) -> list[str]:
        """The prompts take turns."""
        wanted = parse_emotion(emotion)
        return [self._prompts.prompt(wanted, seed) for seed in seeds]
