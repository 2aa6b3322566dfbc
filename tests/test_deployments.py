"""prefect.yaml: its deployments point at flows that exist, with the parameters of the profiles; schedules are off until wanted."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from coemogen_core.training.recipes import RECIPES
from flows.profiles import load_params

ROOT = Path(__file__).parents[1]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
PROFILES = {"lab": "lab", "gpu": "sd15"}


def flow_of(deployment: dict[str, Any]) -> Any:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def name_of(deployment: dict[str, Any]) -> str:
    return f"{flow_of(deployment).name}/{deployment['name']}"


def given(deployment: dict[str, Any]) -> dict[str, Any]:
    params = deployment["parameters"]["params"]
    assert isinstance(params, dict)
    return params


def test_every_flow_is_deployed_in_both_places() -> None:
    flows = ("build-emoset", "build-emoart", "recaption", "train-and-eval")
    assert [name_of(deployment) for deployment in DEPLOYMENTS] == [f"{flow}/{place}" for flow in flows for place in PROFILES]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_parameters_are_those_of_the_profile(deployment: dict[str, Any]) -> None:
    flow, params = flow_of(deployment), given(deployment)
    model: type[BaseModel] = flow.fn.__annotations__["params"]
    assert set(deployment["parameters"]) == {"params"}
    profile = PROFILES[deployment["name"]]
    named = tomllib.loads((ROOT / "flows" / "profiles" / f"{profile}.toml").read_text())[flow.name]
    own = {name: value for name, value in params.items() if name not in named}
    assert own.keys() <= {"workspace", "source", "dataset", "labelled_source", "labelled_set", "emoart_dataset"}
    assert TypeAdapter(model).validate_python(params) == load_params(profile, flow.name, model, own)  # type: ignore[arg-type]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_nothing_is_written_that_is_the_default(deployment: dict[str, Any]) -> None:
    training = given(deployment).get("training")
    recipe = {"lab": "lab", "gpu": "paper-batched"}[deployment["name"]]
    assert training is None or type(RECIPES[recipe]).model_validate(training) == RECIPES[recipe]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_places_and_limits(deployment: dict[str, Any]) -> None:
    pool = deployment["work_pool"]
    assert pool["name"] == deployment["name"]
    assert pool["job_variables"]["env"].items() >= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}.items()
    assert deployment["concurrency_limit"]["limit"] == 1
    assert deployment["name"] in deployment["tags"]
    assert all(schedule["active"] is False and schedule["timezone"] for schedule in deployment.get("schedules", []))
    assert bool(deployment.get("schedules")) == name_of(deployment).startswith("recaption/")
