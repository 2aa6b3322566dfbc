"""deploy/: the job that Prefect makes of its template is one that Kubernetes takes; image, template and prefect.yaml agree."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import kubernetes_validate
import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.utilities.templating import find_placeholders
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

from flows.services.processes import GRACE_S

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEMPLATE = json.loads((ROOT / "deploy" / "kubernetes" / "base-job-template.json").read_text())
VARIABLES = TEMPLATE["variables"]["properties"]
POD_OF_TEMPLATE = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
LEFT_TO_PREFECT = {"name", "command"}
KUBERNETES = ("1.28.0", "1.37.0")
GPU_POOL = next(each["work_pool"] for each in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"] if each["name"] == "gpu")
GPU_ENV = GPU_POOL["job_variables"]["env"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def render(template: dict[str, Any] = TEMPLATE, **values: Any) -> dict[str, Any]:
    """The job as the worker of a pool with this template sends it to Kubernetes."""
    configuration = asyncio.run(KubernetesWorkerJobConfiguration.from_template_and_values(template, values, client=object()))
    configuration.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="wise-owl"))
    return dict(configuration.job_manifest)


def validate(job: dict[str, Any], version: str) -> None:
    """Against Kubernetes' schema, unknown fields refused.

    Prefect asks for parallelism and completions in the pod, where Kubernetes does not know them and its server drops them.
    """
    known = deepcopy(job)
    for name in ("parallelism", "completions"):
        assert known["spec"]["template"]["spec"].pop(name) == 1
    kubernetes_validate.validate(known, version, strict=True)


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(job)["containers"]
    return dict(container)


def env_of(job: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container_of(job)["env"]}


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile with their arguments; comments left out, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(maxsplit=1)[0].upper(), line.split(maxsplit=1)[1]) for line in joined.splitlines()]


IMAGE = instructions(DOCKERFILE.read_text())
LAST_STAGE = IMAGE[max(place for place, (name, _) in enumerate(IMAGE) if name == "FROM") :]


def arguments(name: str, stage: list[tuple[str, str]] = IMAGE) -> list[str]:
    return [argument for instruction, argument in stage if instruction == name]


def image_env() -> dict[str, str]:
    pairs = [pair for argument in arguments("ENV", LAST_STAGE) for pair in shlex.split(argument)]
    return dict(pair.split("=", 1) for pair in pairs)


def copied() -> list[str]:
    """What the image takes out of the project's folder."""
    return [source for argument in arguments("COPY") if "--from" not in argument for source in argument.split()[:-1]]


def test_variables_are_a_schema_and_defaults_satisfy_it() -> None:
    jsonschema.Draft202012Validator.check_schema(TEMPLATE["variables"])
    defaults = {name: variable["default"] for name, variable in VARIABLES.items() if "default" in variable}
    jsonschema.validate(defaults, TEMPLATE["variables"])
    assert set(VARIABLES) - set(defaults) == LEFT_TO_PREFECT
    assert all(variable["title"] and variable["description"] for variable in VARIABLES.values())


def test_every_placeholder_is_a_variable_and_every_variable_is_used() -> None:
    assert {placeholder.name for placeholder in find_placeholders(TEMPLATE["job_configuration"])} == set(VARIABLES)
    assert TEMPLATE["job_configuration"].keys() <= KubernetesWorkerJobConfiguration.model_fields.keys()


@pytest.mark.parametrize(
    "wrong", [{"gpus": 0}, {"memory": "32 GB"}, {"termination_grace_period": 5}, {"image_pull_policy": "Sometimes"}, {"model_cache": {}}]
)
def test_bad_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, TEMPLATE["variables"])


@pytest.mark.parametrize("version", KUBERNETES)
def test_job_of_the_defaults_conforms_to_kubernetes(version: str) -> None:
    job = render()
    validate(job, version)
    assert find_placeholders(job) == set()
    assert container_of(job)["args"] == ["prefect", "flow-run", "execute"]
    assert job["metadata"]["generateName"] == "wise-owl-"


@pytest.mark.parametrize("version", KUBERNETES)
def test_job_with_everything_set_conforms_to_kubernetes(version: str) -> None:
    values: dict[str, Any] = {
        "image": "registry.example.org/coemogen-gpu@sha256:" + "0" * 64,
        "namespace": "research",
        "service_account_name": "coemogen",
        "workspace_secret": "bucket",
        "gpus": 2,
        "cpu": "500m",
        "memory": "1.5Gi",
        "model_cache": {"name": "models", "persistentVolumeClaim": {"claimName": "models"}},
        "node_selector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
        "tolerations": [{"operator": "Exists"}],
        "labels": {"team": "vision"},
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        "env": {"HF_HUB_OFFLINE": "1"},
    }
    jsonschema.validate(values, TEMPLATE["variables"])
    job = render(**values)
    validate(job, version)
    container = container_of(job)
    assert container["image"] == values["image"]
    assert container["resources"]["limits"] == {"memory": "1.5Gi", "nvidia.com/gpu": 2}
    assert container["envFrom"] == [{"secretRef": {"name": "bucket", "optional": True}}]
    assert values["model_cache"] in pod_of(job)["volumes"]
    assert env_of(job).items() >= {**GPU_ENV, "HF_HUB_OFFLINE": "1"}.items()


def test_validation_sees_a_misspelt_field() -> None:
    template = deepcopy(TEMPLATE)
    template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        validate(render(template), KUBERNETES[-1])


def test_pod_may_not_become_root() -> None:
    pod, container = pod_of(render()), container_of(render())
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert arguments("USER", LAST_STAGE) == [user]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_training_has_time_to_save_its_step_and_kubernetes_starts_nothing_twice() -> None:
    job = render()
    assert job["spec"]["backoffLimit"] == 0
    assert env_of(job)["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    grace = VARIABLES["termination_grace_period"]
    assert pod_of(job)["terminationGracePeriodSeconds"] == grace["default"] > grace["minimum"] >= GRACE_S


def test_volumes_are_mounted_where_the_image_looks() -> None:
    mounts = {each["name"]: each["mountPath"] for each in container_of(render())["volumeMounts"]}
    assert mounts == {"shared-memory": "/dev/shm", "models": image_env()["HF_HOME"]}
    assert arguments("VOLUME", LAST_STAGE) == [image_env()["HF_HOME"]]
    shared = next(each for each in pod_of(render())["volumes"] if each["name"] == "shared-memory")
    assert shared["emptyDir"] == {"medium": "Memory", "sizeLimit": VARIABLES["shared_memory"]["default"]}


def test_environment_is_that_of_the_gpu_pool() -> None:
    assert VARIABLES["env"]["default"] == {**GPU_ENV, "PREFECT_HOME": "/tmp/prefect"}
    assert env_of(render()).items() >= GPU_ENV.items()
    assert image_env().items() >= GPU_ENV.items()


def test_worker_hands_its_server_on_and_keeps_its_folder(tmp_path: Path) -> None:
    server = "http://prefect-server.prefect.svc:4200/api"
    with temporary_settings({PREFECT_HOME: tmp_path, PREFECT_API_URL: server}):
        env = env_of(render())
    assert (env["PREFECT_API_URL"], env["PREFECT_HOME"]) == (server, "/tmp/prefect")


def test_default_image_is_the_one_that_the_dockerfile_and_the_page_build() -> None:
    tag = f"coemogen-gpu:{VERSION}"
    assert VARIABLES["image"]["default"] == tag
    assert f"docker build --file deploy/Dockerfile --tag {tag} ." in DOCKERFILE.read_text()
    assert f"docker build --file deploy/Dockerfile --tag {tag} ." in (ROOT / "docs" / "clusters.md").read_text()


def test_base_image_is_pinned_and_has_the_tested_python() -> None:
    declared = dict(argument.split("=", 1) for argument in arguments("ARG"))
    bases = [argument.split()[0] for argument in arguments("FROM")]
    assert bases == ["${PYTHON_IMAGE}"] * 2
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", declared["PYTHON_IMAGE"])
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"torch=={declared['TORCH']}" in constraints


def test_image_copies_only_what_exists_and_the_context_holds() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert set(copied()) == allowed
    assert all((ROOT / source).exists() for source in allowed)
    assert any(fnmatch("flows/__pycache__", rule.replace("**", "*")) for rule in rules[1:])


def test_image_installs_with_constraints_and_runs_a_worker() -> None:
    installs = [argument for argument in arguments("RUN") if "pip install" in argument]
    unpinned = [argument for argument in installs if "--constraint constraints.txt" not in argument]
    assert unpinned == ['pip install "torch==${TORCH}"']
    assert len(installs) == 3
    assert arguments("ENTRYPOINT") == []
    (command,) = arguments("CMD", LAST_STAGE)
    assert json.loads(command) == ["prefect", "worker", "start", "--pool", GPU_POOL["name"], "--type", "process"]


def test_constraints_suit_the_cuda_build_too() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [pin for pin in pins if "+" in pin or pin.split("==")[0] in ("triton", "torchvision")] == []


def test_linter_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", "--failure-threshold", "style", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
