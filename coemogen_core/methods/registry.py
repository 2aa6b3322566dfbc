"""Methods by name: what a matrix file may ask for."""

import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field, field_validator

from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.methods.custom import CustomMethod
from coemogen_core.methods.dreambooth_lora import DreamBoothLoRA, DreamBoothRecipe
from coemogen_core.methods.emogen_like import EmoGenLike, EmoGenLikeRecipe
from coemogen_core.methods.method import Method
from coemogen_core.methods.prompted import PROMPT, LlmPrompts, PlainDiffusion
from coemogen_core.methods.textual_inversion import TextualInversion, TextualInversionRecipe
from coemogen_core.methods.trained import RecipeT
from coemogen_core.storage.names import DatasetName
from coemogen_core.training.recipes import TrainingRecipe
from schemas.frozen_model import FrozenModel, each_once

NAME = r"^[a-z][a-z0-9-]*$"
OURS, BASELINE = "coemogen", "sd"
OWN_LEARNING_RATES: dict[str, float] = {"textual-inversion": 5e-3}
"""Words alone need longer steps than weights; every other trained method takes CoEmoGen's learning rate unless it is told another."""


LABELS = {
    OURS: "CoEmoGen",
    BASELINE: "Stable Diffusion",
    "sd-llm": "SD with an LLM's prompts",
    "textual-inversion": "Textual Inversion",
    "dreambooth-lora": "DreamBooth-LoRA",
    "emogen-like": "EmoGen-like",
}
"""By name, what people call a method."""


class MethodSpec(FrozenModel):
    """One method as a matrix file names it."""

    method: str = Field(min_length=1, description="a name of the registry, or package.module:Class of a generator of your own")
    name: str = Field(
        default_factory=lambda data: usual_name(data["method"]),
        pattern=NAME,
        description="what it is called in folders and files, where a method runs twice; the method's name unless it is given",
    )
    label: str = Field(
        default_factory=lambda data: LABELS.get(data["name"], data["name"]),
        min_length=1,
        description="what it is called in tables and in the report",
    )
    corpora: tuple[DatasetName, ...] = Field(
        default=(),
        description="curated datasets that it learns from in place of those of the run: other captions, another domain",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="put over the method's own defaults")

    @field_validator("corpora")
    @classmethod
    def _each_once(cls, corpora: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(corpora)


def usual_name(method: str) -> str:
    """A registered name as it is; `my-generator` for `package.module:MyGenerator`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", method.rpartition(":")[2]).replace("_", "-").lower() if ":" in method else method


class _Prompt(BaseModel, frozen=True, extra="forbid"):
    prompt: str = PROMPT


class _Prompts(BaseModel, frozen=True, extra="forbid"):
    prompts: str = "lab.v1"


def new_method(spec: MethodSpec, training: TrainingRecipe) -> Method:
    """The method that a spec describes.

    Args:
        spec: its name and settings.
        training: CoEmoGen's recipe. What it says of steps, batches, noise and optimizer holds for every trained method, so that all see
            the same number of samples; a spec's settings are put over it.

    Raises:
        ValueError: unknown method, unknown or bad setting (pydantic's own errors name the field), or a class that cannot be imported.
        FileNotFoundError: a file that a setting names does not exist.
    """
    if ":" in spec.method:
        return CustomMethod(spec.name, spec.method, json.dumps(spec.settings, sort_keys=True))
    if spec.method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"unknown method {spec.method!r}; expected one of: {known}; or package.module:Class of a generator of your own")
    return METHODS[spec.method](spec, training)


def _shared(spec: MethodSpec, training: TrainingRecipe, recipe: type[RecipeT], **own: Any) -> RecipeT:
    """A baseline's recipe: CoEmoGen's conditions, its own learning rate, then what the spec sets."""
    if spec.method in OWN_LEARNING_RATES:
        own["learning_rate"] = OWN_LEARNING_RATES[spec.method]
    return recipe.model_validate({**training.optimisation, **own}).with_settings(spec.settings)


METHODS: dict[str, Callable[[MethodSpec, TrainingRecipe], Method]] = {
    OURS: lambda spec, training: CoEmoGen(spec.name, training.with_settings(spec.settings)),
    BASELINE: lambda spec, _: PlainDiffusion(spec.name, _Prompt.model_validate(spec.settings).prompt),
    "sd-llm": lambda spec, _: LlmPrompts(spec.name, _Prompts.model_validate(spec.settings).prompts),
    "textual-inversion": lambda spec, training: TextualInversion(spec.name, _shared(spec, training, TextualInversionRecipe)),
    "dreambooth-lora": lambda spec, training: DreamBoothLoRA(spec.name, _shared(spec, training, DreamBoothRecipe)),
    "emogen-like": lambda spec, training: EmoGenLike(spec.name, _shared(spec, training, EmoGenLikeRecipe, covariance=training.covariance)),
}
"""By name, what makes the method out of its spec and CoEmoGen's training recipe."""
