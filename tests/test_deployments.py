"""The registry of deployments, prefect.yaml that is written from it, and what the documentation says of both."""

import importlib
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from flows.deployments import FLOWS, NAMES, PROFILES, Pool, written
from flows.environment import NOTHING_PHONES_HOME
from flows.params import load_params
from flows.profiles import FlowName, profile_values
from flows.services.settings import HEARTBEAT_S

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "prefect.yaml").read_text()
DEPLOYMENTS = yaml.safe_load(TEXT)["deployments"]


def flow_of(deployment: dict[str, Any]) -> Any:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def name_of(deployment: dict[str, Any]) -> str:
    return f"{flow_of(deployment).name}/{deployment['name']}"


def test_the_file_is_what_the_registry_writes() -> None:
    assert written(TEXT) == TEXT, "write it anew: python -m flows.deployments"
    with pytest.raises(ValueError, match="no line `deployments:`"):
        written("name: coemogen\n")


def test_every_flow_is_deployed_to_every_pool() -> None:
    assert tuple(flow.name for flow in FLOWS) == get_args(FlowName)
    assert tuple(PROFILES) == get_args(Pool)
    assert tuple(map(name_of, DEPLOYMENTS)) == NAMES


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_parameters_are_those_of_the_profile(deployment: dict[str, Any]) -> None:
    flow, (params,) = flow_of(deployment), deployment["parameters"].values()
    model = flow.fn.__annotations__["params"]
    profile = PROFILES[deployment["name"]]
    own = {name: value for name, value in params.items() if name not in profile_values(profile, flow.name)}
    assert own.keys() <= {"workspace", "source", "dataset", "labelled_source", "labelled_set", "emoart_dataset"}
    assert model.model_validate(params) == load_params(profile, model, own)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_pools_and_limits(deployment: dict[str, Any]) -> None:
    pool = deployment["work_pool"]
    assert pool["name"] == deployment["name"]
    heartbeat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S)}
    assert pool["job_variables"]["env"].items() >= (NOTHING_PHONES_HOME | heartbeat).items()
    assert deployment["concurrency_limit"]["limit"] == 1
    assert deployment["name"] in deployment["tags"]
    assert all(schedule["active"] is False and schedule["timezone"] for schedule in deployment.get("schedules", []))
    assert bool(deployment.get("schedules")) == name_of(deployment).startswith("recaption/")


@pytest.mark.parametrize("file", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda file: file.name)
def test_the_documentation_names_deployments_that_there_are(file: Path) -> None:
    flows = "|".join(get_args(FlowName))
    assert set(re.findall(rf"\b(?:{flows})/[a-z]+\b", file.read_text())) <= set(NAMES)
