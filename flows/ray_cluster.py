"""Prefect's Ray task runner, as the settings want it: nothing phones home, and every worker reports to the server of this flow run."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client

from flows.execution import RayExecution

ONLY_THIS_MACHINE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # off: Ray's servers bind to 127.0.0.1 (ray.init takes no loopback address)
FORWARDED = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM")


@contextmanager
def ray_cluster(settings: RayExecution) -> Iterator[Any]:
    """A started `RayTaskRunner`; a cluster of this machine ends with the block.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ConnectionError: nothing answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if settings.address is None:
        os.environ.setdefault(ONLY_THIS_MACHINE, "0")
    try:
        from prefect_ray import RayTaskRunner
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("execution.runner is ray, and Ray is not installed: pip install 'coemogen[ray]'") from error
    answer = _sigterm_answer()
    with RayTaskRunner(address=settings.address, init_kwargs=_start_options(settings)) as runner:
        _answer_sigterm(answer)
        yield runner


@contextmanager
def part_resources(settings: RayExecution) -> Iterator[None]:
    """What every part that is submitted within the block takes from the cluster."""
    from prefect_ray.context import remote_options

    with remote_options(num_cpus=settings.cpus_per_part, num_gpus=settings.gpus_per_part, max_retries=settings.tries_after_death):
        yield


def _start_options(settings: RayExecution) -> dict[str, Any]:
    options: dict[str, Any] = {"runtime_env": {"env_vars": _worker_variables()}, "log_to_driver": False, "configure_logging": False}
    if settings.address is None:
        options |= {"num_cpus": settings.workers, "include_dashboard": False}
    return options


def _worker_variables() -> dict[str, str]:
    """A worker without the server's address would start a server of its own."""
    with get_client(sync_client=True) as client:
        fixed = {
            "PREFECT_API_URL": str(client.api_url),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": os.environ.get("PREFECT_LOGGING_LEVEL", "INFO"),
            "DO_NOT_TRACK": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
    return fixed | {name: os.environ[name] for name in FORWARDED if name in os.environ}


def _sigterm_answer() -> Any:
    return signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None


def _answer_sigterm(answer: Any) -> None:
    """Ray takes over SIGTERM when it starts; the flow's own answer, which ends a run in a clean state, comes back into force."""
    if answer is not None:
        signal.signal(signal.SIGTERM, answer)
