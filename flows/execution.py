"""Where the mapped stages of a flow run: on this process's threads, or on a Ray cluster that Prefect's task runner talks to."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import Field

from flows.environment import NOTHING_PHONES_HOME
from schemas.frozen_model import FrozenModel

ONLY_THIS_MACHINE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # off: Ray's servers bind to 127.0.0.1 (ray.init takes no loopback address)
FORWARDED = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM")


class ThreadExecution(FrozenModel):
    """Parts run in the process of the flow: torch work one part after the other, captions from servers side by side."""

    runner: Literal["threads"] = Field(default="threads", description="threads = in the flow's own process")


class RayExecution(FrozenModel):
    """Parts run in the worker processes of a Ray cluster, each of which loads a model once. Needs the extra `ray`."""

    runner: Literal["ray"] = Field(description="ray = in the worker processes of a Ray cluster")
    address: str | None = Field(
        default=None,
        min_length=1,
        description="of a running cluster, e.g. ray://head:10001; none = a cluster on this machine for as long as the flow runs",
    )
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="worker processes of a cluster on this machine; none = one for every core"
    )
    cpus_per_part: float = Field(default=1.0, gt=0, le=1024, description="cores that a part takes from the cluster")
    gpus_per_part: float = Field(default=0.0, ge=0, le=64, description="GPUs that a part takes; a fraction lets parts share one")
    tries_after_death: int = Field(
        default=3, ge=0, le=100, description="times that a part starts again when the process or the machine that worked on it has died"
    )


Execution = Annotated[ThreadExecution | RayExecution, Field(discriminator="runner")]


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
    in_main_thread = threading.current_thread() is threading.main_thread()
    answer = signal.getsignal(signal.SIGTERM) if in_main_thread else None
    with RayTaskRunner(address=settings.address, init_kwargs=_start_options(settings)) as runner:
        if answer is not None:  # Ray takes over SIGTERM; the flow's own answer, which ends a run in a clean state, comes back into force
            signal.signal(signal.SIGTERM, answer)
        yield runner


@contextmanager
def part_resources(settings: RayExecution) -> Iterator[None]:
    """What every part that is submitted within the block takes from the cluster."""
    from prefect_ray.context import remote_options

    with remote_options(num_cpus=settings.cpus_per_part, num_gpus=settings.gpus_per_part, max_retries=settings.tries_after_death):
        yield


def parts_side_by_side(settings: RayExecution) -> int:
    """How many parts the cluster has room for as it is now, busy or not; at least one, for some grow when a part waits."""
    import ray

    has = ray.cluster_resources()
    takes = {"CPU": settings.cpus_per_part, "GPU": settings.gpus_per_part}
    return max(1, int(min(has.get(kind, 0.0) / amount for kind, amount in takes.items() if amount)))


def _start_options(settings: RayExecution) -> dict[str, Any]:
    options: dict[str, Any] = {"runtime_env": {"env_vars": _worker_variables()}, "log_to_driver": False, "configure_logging": False}
    if settings.address is None:
        options |= {"num_cpus": settings.workers, "include_dashboard": False}
    return options


def _worker_variables() -> dict[str, str]:
    """A worker without the server's address would start a server of its own."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        server = {"PREFECT_API_URL": str(client.api_url), "PREFECT_LOGGING_LEVEL": os.environ.get("PREFECT_LOGGING_LEVEL", "INFO")}
    return NOTHING_PHONES_HOME | server | {name: os.environ[name] for name in FORWARDED if name in os.environ}
