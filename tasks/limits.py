"""Places that tasks share across runs and machines: GPUs, and the servers that caption.

A limit is a number on the Prefect server (`coemogen serve` creates both). Without a server, or without such a limit, every task has its
place at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency

from coemogen_core.captioning.recipe import BackendSettings, LocalSettings
from coemogen_core.device import resolve_device

GPU, CAPTIONER = "gpu", "captioner"
LEASE_S = 60.0  # a place whose process has died is free again after so long; Prefect allows no shorter lease


@contextmanager
def device_place(device: str = "auto") -> Iterator[None]:
    """Within the block the task has a GPU's place, where its device is one; a CPU needs none."""
    if resolve_device(device).type != "cuda":
        yield
        return
    with _place(GPU):
        yield


@contextmanager
def captioner_place(settings: BackendSettings) -> Iterator[None]:
    """Within the block the task may ask the captioning servers; a model in this process needs its device instead."""
    if isinstance(settings, LocalSettings):
        with device_place(settings.device):
            yield
        return
    with _place(CAPTIONER):
        yield


@contextmanager
def _place(limit: str) -> Iterator[None]:
    """A lease that is renewed while the block runs. One that cannot be renewed, because the server is away, does not end the work."""
    with concurrency(limit, occupy=1, lease_duration=LEASE_S, strict=False, raise_on_lease_renewal_failure=False):
        yield
