"""`coemogen serve` in a folder of its own, and its API as a person or the UI would use it."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
from torch.distributed.elastic.utils.distributed import get_free_port

from coemogen_core.recipe import merge
from flows.services.processes import ProcessList, StartedProcess

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1800  # of anything that a test waits for; a busy machine is not a failure
ANSWER_S = 300  # of a request
TRAIN = "train after build-emoart/lab"  # the automation
SERVE = "from flows.command_line import main; main()"


def until(what: str, found: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Wait for something true."""
    end = time.monotonic() + deadline_s
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.5)


class Services:
    """One server and its worker."""

    def __init__(self, folder: Path, world: Path) -> None:
        self.folder, self.world, self.workspace = folder / "prefect", world, folder / "workspace"
        self.port = get_free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "COEMOGEN_"))}
        home = {"PREFECT_HOME": str(self.folder), "PREFECT_API_URL": self.api, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        # one client: each loads all certificates; no connection outlives its request, for servers here die
        self.http = httpx.Client(timeout=ANSWER_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self.variables = {**clean, **home, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def serve(self) -> str:
        """Start what does not run."""
        options = ["--workspace", self.workspace, "--photos", self.world / "photos", "--paintings", self.world / "paintings"]
        return self.command("serve", "--folder", self.folder, "--port", self.port, *options)

    def stop(self) -> str:
        return self.command("stop", "--folder", self.folder)

    def command(self, *arguments: object) -> str:
        line = [sys.executable, "-c", SERVE, *map(str, arguments)]
        done = subprocess.run(line, cwd=ROOT, env=self.variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, deployment: str, params: dict[str, Any] | None = None, *, watch: bool = True) -> subprocess.CompletedProcess[str]:
        """`prefect deployment run`, with some of the deployment's parameters replaced."""
        line = [str(Path(sys.executable).with_name("prefect")), "deployment", "run", deployment]
        if params is not None:
            line += ["--params", json.dumps({"params": merge(self.parameters(deployment), params)})]
        line += ["--watch"] if watch else []
        return subprocess.run(line, cwd=ROOT, env=self.variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    def start(self, deployment: str, params: dict[str, Any] | None = None) -> str:
        """Ask for a run through the API; returns its id."""
        body: dict[str, Any] = {"state": {"type": "SCHEDULED"}}
        if params is not None:
            body["parameters"] = {"params": merge(self.parameters(deployment), params)}
        answer = self.post(f"deployments/{self.deployment(deployment)['id']}/create_flow_run", body)
        return str(answer["id"])

    def deployment(self, name: str) -> dict[str, Any]:
        answer = self.http.get(f"{self.api}/deployments/name/{name}")
        answer.raise_for_status()
        return dict(answer.json())

    def parameters(self, name: str) -> dict[str, Any]:
        return dict(self.deployment(name)["parameters"]["params"])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.http.post(f"{self.api}/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def flow_run(self, run_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"{self.api}/flow_runs/{run_id}").json())

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        return list(self.post("flow_runs/filter", {"deployments": {"id": {"any_": [self.deployment(deployment)["id"]]}}}))

    def task_runs_of(self, deployment: str) -> list[dict[str, Any]]:
        """Of the newest run."""
        newest = max(self.runs_of(deployment), key=lambda run: run["created"])
        return list(self.post("task_runs/filter", {"flow_runs": {"id": {"any_": [newest["id"]]}}, "limit": 200}))

    def logs(self, run_id: str, level: int = logging.INFO) -> str:
        """What a run has logged, of a level or above; one message a line."""
        found = self.post("logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": level}}, "limit": 200})
        return "\n".join(each["message"] for each in found)

    def artifacts(self) -> dict[str, dict[str, Any]]:
        return {each["key"]: each for each in self.post("artifacts/latest/filter", {"limit": 200})}

    def switch(self, automation: str, *, enabled: bool) -> None:
        """Switch an automation on or off."""
        (wanted,) = [each for each in self.post("automations/filter", {}) if each["name"] == automation]
        self.http.patch(f"{self.api}/automations/{wanted['id']}", json={"enabled": enabled}).raise_for_status()

    def switch_schedules(self, deployment: str, *, active: bool) -> None:
        """Switch all schedules of a deployment on or off."""
        found = self.deployment(deployment)
        for each in found["schedules"]:
            address = f"{self.api}/deployments/{found['id']}/schedules/{each['id']}"
            self.http.patch(address, json={"active": active}).raise_for_status()

    def completed(self, deployment: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a deployment to its end, as a person does who presses the button in the UI.

        Raises:
            AssertionError: it did not complete; the message holds the run's log.
        """
        run = self.finished(self.start(deployment, params))
        assert run["state_type"] == "COMPLETED", self.logs(run["id"])
        return run

    def finished(self, run_id: str) -> dict[str, Any]:
        """The run, when it is over."""

        def over() -> dict[str, Any] | None:
            run = self.flow_run(run_id)
            return run if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        return dict(until(f"the end of run {run_id}", over))

    def process(self, name: str) -> StartedProcess:
        found = ProcessList(self.folder).running(name)
        assert found is not None, f"{name} does not run"
        return found

    def limit(self, name: str) -> dict[str, Any]:
        """A global concurrency limit, with the slots that are taken."""
        answer = self.http.get(f"{self.api}/v2/concurrency_limits/{name}")
        answer.raise_for_status()
        return dict(answer.json())

    def kill(self, name: str) -> None:
        """As when the machine dies: a service and all that it has started, with SIGKILL."""
        process = psutil.Process(self.process(name).pid)
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=ANSWER_S)
