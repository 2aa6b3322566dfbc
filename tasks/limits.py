"""Concurrency limits that tasks share across runs and machines: GPUs, and the servers that caption.

A limit is a number of slots on the Prefect server (`coemogen serve` creates both). Without a server, or without such a limit, every task
has its slot at once. A task gives its slot to the core (`coemogen_core.device.Slot`), which enters it when there is something to compute.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from coemogen_core.captioning.recipe import BackendSettings, LocalSettings
from coemogen_core.device import resolve_device
from coemogen_core.errors import CoEmoGenError

GPU, CAPTIONER = "gpu", "captioner"
LEASE_S = 60.0  # a slot whose process has died is free again after so long; Prefect allows no shorter lease


class TooFewSlotsError(CoEmoGenError):
    """More slots are asked for at once than the limit has: they would be waited for in vain."""


@contextmanager
def device_slot(device: str = "auto", devices: int = 1) -> Iterator[None]:
    """Within the block the task has a slot for each of its GPUs, where its device is one; a CPU needs none.

    Raises:
        TooFewSlotsError: the limit has fewer.
    """
    if resolve_device(device).type != "cuda":
        yield
        return
    if devices > 1:
        _require_slots(GPU, devices)
    with _slot(GPU, devices):
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


def _require_slots(limit: str, slots: int) -> None:
    with get_client(sync_client=True) as client:
        try:
            found = client.read_global_concurrency_limit_by_name(limit)
        except ObjectNotFound:
            return
    if found.active and found.limit < slots:
        raise TooFewSlotsError(
            f"a training in {slots} processes takes {slots} slots of the concurrency limit `{limit}`, which has {found.limit}: "
            f"train in fewer (launch.processes), or, where there are so many GPUs, `prefect gcl update {limit} --limit {slots}`"
        )


@contextmanager
def _slot(limit: str, slots: int = 1) -> Iterator[None]:
    """A lease that is renewed while the block runs. One that cannot be renewed, because the server is away, does not end the work."""
    with concurrency(limit, occupy=slots, lease_duration=LEASE_S, strict=False, raise_on_lease_renewal_failure=False):
        yield
