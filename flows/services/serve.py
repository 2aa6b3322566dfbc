"""From nothing to deployments that run: server, pools, limits, deployments, automations, workers. Every step leaves what stands alone."""

import asyncio
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from prefect.client.orchestration import PrefectClient

from flows.deployments import Pool
from flows.services.processes import LockedProcessList, ProcessList
from flows.services.resources import set_up_automations, set_up_pools_and_limits, switch_on, switched_on
from flows.services.settings import HOST, ServiceError, ServiceSettings

STARTUP_TIMEOUT_S = 120.0
POLL_S = 0.3
SERVER = "server"
Answer = TypeVar("Answer")


def serve(settings: ServiceSettings, say: Callable[[str], None]) -> None:
    """Start what does not run yet, bring the rest up to date.

    Args:
        settings: where and what.
        say: takes one line for every step.

    Raises:
        FileNotFoundError: no prefect.yaml in the project's folder.
        ServiceError: the server did not answer in time or has another port, `prefect deploy` failed, or another command was at work in
            the folder for too long.
    """
    if not (settings.project / "prefect.yaml").is_file():
        raise FileNotFoundError(f"no prefect.yaml in {settings.project.resolve()}: run this in the project's folder")
    with ProcessList(settings.folder).changing("serve", say) as processes:
        if ended := processes.finish_stop():
            say(f"ended, as the last `coemogen stop` was to do: {', '.join(ended)}")
        _require_port_of_running_server(settings, processes)
        settings.save()
        start_server(settings, processes)
        say(f"server at {settings.ui_url}")
        _set_up(settings, say)
        for pool in settings.pools:
            start_worker(settings, processes, pool)
            say(f"worker of pool {pool} (log: {processes.log(worker_name(pool))})")


def _set_up(settings: ServiceSettings, say: Callable[[str], None]) -> None:
    """What stands on the server."""
    names = ask(settings, lambda client: set_up_pools_and_limits(client, settings))
    say(f"pools {' and '.join(names['pools'])}, limits {' and '.join(names['limits'])}")
    schedules = ask(settings, switched_on)
    deploy(settings)
    ask(settings, lambda client: switch_on(client, schedules))
    automations = ask(settings, lambda client: set_up_automations(client, settings.pools))
    say(f"deployments of prefect.yaml; automations: {', '.join(automations)}")


def revive(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Start again what `serve` has started, nobody has stopped, and died all the same. Nothing is deployed or set up anew.

    Args:
        folder: of the services.
        say: takes one line when another command is at work there.

    Returns:
        Names of what was started.

    Raises:
        ServiceError: the server did not come up, or another command was at work for too long.
    """
    with ProcessList(folder).changing("revive", say) as processes:
        dead = {each.name for each in processes.read() if not each.ending and each.find() is None}
        if not dead:
            return []
        settings = ServiceSettings.load(folder)
        if SERVER in dead:
            start_server(settings, processes)
        pools = [pool for pool in settings.pools if worker_name(pool) in dead]
        for pool in pools:
            start_worker(settings, processes, pool)
        return [SERVER] * (SERVER in dead) + [worker_name(pool) for pool in pools]


def ask(settings: ServiceSettings, question: Callable[[PrefectClient], Coroutine[Any, Any, Answer]]) -> Answer:
    """Ask the server something."""

    async def answer() -> Answer:
        async with PrefectClient(settings.api_url) as client:
            return await question(client)

    return asyncio.run(answer())


def start_server(settings: ServiceSettings, processes: LockedProcessList) -> None:
    """Start the server and wait until it answers.

    Raises:
        ServiceError: it did not, or something else answers on its port.
    """
    if processes.running(SERVER) is None and _answers(settings):
        raise ServiceError(f"something else answers on port {settings.port}: stop it, or take another port")
    command = [sys.executable, "-m", "flows.services.prefect_server", "--host", HOST, "--port", str(settings.port)]
    entry = processes.start(SERVER, command, settings.variables())
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while not _answers(settings):
        if entry.find() is None or time.monotonic() > deadline:
            raise ServiceError(f"the server did not come up: {processes.log(SERVER)} says why")
        time.sleep(POLL_S)


def start_worker(settings: ServiceSettings, processes: LockedProcessList, pool: Pool) -> None:
    """Start the worker of a pool, unless it runs.

    How many runs it takes is the pool's limit. With one of its own, the worker of prefect 3.8.8 dies when a suspended run is resumed before
    its old process is gone ("this borrower is already holding one of this CapacityLimiter's tokens").
    """
    command = [_program("prefect"), "worker", "start", "--pool", pool, "--type", "process", "--name", f"{pool}-worker"]
    processes.start(worker_name(pool), command, settings.variables())


def worker_name(pool: Pool) -> str:
    """Of the worker of a pool, in the list of processes."""
    return f"worker-{pool}"


def deploy(settings: ServiceSettings) -> None:
    """Deploy all of prefect.yaml.

    Raises:
        ServiceError: Prefect refused it; the message holds what it said.
    """
    command = [_program("prefect"), "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=settings.project, env=settings.variables(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"`prefect deploy --all` failed; it said:\n{done.stdout}{done.stderr}")


def _require_port_of_running_server(settings: ServiceSettings, processes: ProcessList) -> None:
    """Or nothing would answer where everybody else is told to ask from now on."""
    port = ServiceSettings.load(settings.folder).port if processes.running(SERVER) else settings.port
    if port != settings.port:
        raise ServiceError(f"the server of {settings.folder} runs on port {port}: take that one, or `coemogen stop` first")


def _answers(settings: ServiceSettings) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{settings.api_url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _program(name: str) -> str:
    """A program of this environment, whether or not it is on the path."""
    return str(Path(sys.executable).with_name(name))
