"""Profiles: the parameters of all flows for one world, as data.

`lab` runs on a laptop, `real` too, on real photos and paintings with a real emotion classifier, `sd15` is the paper's setting.
"""

import tomllib
from importlib.resources import files
from typing import Any, Literal

FlowName = Literal["build-emoset", "build-emoart", "recaption", "train-and-eval"]
Profile = Literal["lab", "real", "sd15"]


def profile_values(profile: Profile, flow: FlowName) -> dict[str, Any]:
    """The section of a flow in the file of a profile."""
    section: dict[str, Any] = tomllib.loads((files("flows.profiles") / f"{profile}.toml").read_text())[flow]
    return section


def training_recipe(name: str, batch_size: int | None = None) -> dict[str, Any]:
    """What `training = {recipe = NAME}` stands for: the fields that the file of that recipe sets, and what `for_batch` makes of them.

    Raises:
        ValueError: there is no such recipe, or no batch has that size.
    """
    from coemogen_core.training.recipes import RECIPES

    if name not in RECIPES:
        raise ValueError(f"unknown training recipe {name!r}; expected one of: {', '.join(RECIPES)}")
    recipe = RECIPES[name] if batch_size is None else RECIPES[name].for_batch(batch_size)
    return recipe.model_dump(mode="json", exclude_unset=True)
