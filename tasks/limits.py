"""Concurrency limits that tasks share across runs and machines: GPUs, and the servers that caption.

A limit is a number of slots on the Prefect server (`coemogen serve` creates both). Without a server, or without such a limit, every task
has its slot at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency

from coemogen_core.captioning.recipe import BackendSettings, LocalSettings
from coemogen_core.device import resolve_device

GPU, CAPTIONER = "gpu", "captioner"
LEASE_S = 60.0  # a slot whose process has died is free again after so long; Prefect allows no shorter lease


@contextmanager
def device_slot(device: str = "auto") -> Iterator[None]:
    """Within the block the task has a GPU's slot, where its device is one; a CPU needs none."""
    if resolve_device(device).type != "cuda":
        yield
        return
    with _slot(GPU):
        yield


@contextmanager
def captioner_slot(settings: BackendSettings) -> Iterator[None]:
    """Within the block the task may ask the captioning servers; a model in this process needs its device instead."""
    if isinstance(settings, LocalSettings):
        with device_slot(settings.device):
            yield
        return
    with _slot(CAPTIONER):
        yield


@contextmanager
def _slot(limit: str) -> Iterator[None]:
    """A lease that is renewed while the block runs. One that cannot be renewed, because the server is away, does not end the work."""
    with concurrency(limit, occupy=1, lease_duration=LEASE_S, strict=False, raise_on_lease_renewal_failure=False):
        yield
