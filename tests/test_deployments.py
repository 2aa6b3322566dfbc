"""prefect.yaml: its deployments point at flows that exist, with parameters that these accept; schedules are off until wanted."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

DEPLOYMENTS = yaml.safe_load((Path(__file__).parents[1] / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["entrypoint"])
def test_entry_point_and_parameters_fit(deployment: dict[str, Any]) -> None:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    flow = getattr(importlib.import_module(module), name)
    annotation = flow.fn.__annotations__["params"]
    params = TypeAdapter(annotation).validate_python(deployment["parameters"]["params"])
    assert params.workspace == "{{ $COEMOGEN_WORKSPACE }}"
    assert set(deployment["parameters"]) == {"params"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["entrypoint"])
def test_schedules_are_off(deployment: dict[str, Any]) -> None:
    assert all(schedule["active"] is False for schedule in deployment.get("schedules", []))
