"""Places that tasks share across runs and machines: GPUs, and the servers that caption.

A limit is a number on the Prefect server (`coemogen serve` creates both). Without a server, or without such a limit, every task has its
place at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency

from coemogen_core.captioning.recipe import BackendSettings, ServerSettings
from coemogen_core.model.base_models import choose_device

GPU, CAPTIONER = "gpu", "captioner"


@contextmanager
def device_place(device: str = "auto") -> Iterator[None]:
    """Within the block the task has a GPU's place, where its device is one; a CPU needs none."""
    if choose_device(device).type != "cuda":
        yield
        return
    with concurrency(GPU, occupy=1):
        yield


@contextmanager
def captioner_place(settings: BackendSettings) -> Iterator[None]:
    """Within the block the task may ask the captioning servers; a model in this process needs no such place."""
    if not isinstance(settings, ServerSettings):
        yield
        return
    with concurrency(CAPTIONER, occupy=1):
        yield
