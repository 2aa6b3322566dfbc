"""Profiles: the parameters of all flows for one world, as data.

`lab` runs on a laptop, `real` too, on real photos and paintings with a real emotion classifier, `sd15` is the paper's setting.
"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel

from coemogen_core.recipe import merge
from coemogen_core.training.recipes import RECIPES

Profile = Literal["lab", "real", "sd15"]
FlowName = Literal["build-emoset", "build-emoart", "recaption", "train-and-eval"]
Params = TypeVar("Params", bound=BaseModel)


def load_params(profile: Profile, flow: FlowName, model: type[Params], overrides: Mapping[str, Any]) -> Params:
    """Parameters of a flow: the profile's, with some replaced.

    Args:
        profile: name of a file in this folder.
        flow: its section.
        model: the parameter model of that flow.
        overrides: values that replace the profile's; a mapping is merged into the profile's mapping.

    Raises:
        ValueError: the profile does not exist.
        pydantic.ValidationError: a value is refused; the message names the field.
    """
    if profile not in get_args(Profile):
        raise ValueError(f"unknown profile {profile!r}; expected one of: {', '.join(get_args(Profile))}")
    values = tomllib.loads((files("flows.profiles") / f"{profile}.toml").read_text())[flow]
    return model.model_validate(_with_named_recipe(merge(values, overrides)))


def _with_named_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """Replace `training = {recipe = NAME, ...}` by that recipe with the other keys put over it."""
    training = values.get("training")
    if not isinstance(training, Mapping) or "recipe" not in training:
        return values
    name = training["recipe"]
    if name not in RECIPES:
        raise ValueError(f"unknown training recipe {name!r}; expected one of: {', '.join(RECIPES)}")
    changed = {key: value for key, value in training.items() if key != "recipe"}
    return {**values, "training": merge(RECIPES[name].model_dump(), changed)}
