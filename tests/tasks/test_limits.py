"""Slots of the concurrency limits: what takes how many, and on a real Prefect server."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from prefect.client.orchestration import get_client

from coemogen_core.captioning.recipe import LocalSettings, ServerSettings
from coemogen_core.device import Slot
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.model.base_models import BaseModels
from coemogen_core.training.launch import LaunchSettings
from coemogen_core.training.recipes import TrainingRecipe
from tasks import limits, train
from tasks.limits import TooFewSlotsError, captioner_slot, device_slot
from tests.tasks.conftest import Taken

TWO = LaunchSettings(processes=2)


class Waiting(CoEmoGen):
    """Trains nothing but takes its slot."""

    def train(self, *_: Any, slot: Slot = nullcontext, **__: Any) -> None:  # type: ignore[override]
        with slot():
            pass


@pytest.fixture
def train_with(monkeypatch: pytest.MonkeyPatch, models: BaseModels) -> Callable[..., None]:
    """Run the task of a training, by its launch settings and device."""
    monkeypatch.setattr(train, "_progress_reporter", lambda _: None)

    def run(*launch: LaunchSettings, device: str = "cuda") -> None:
        method = Waiting("coemogen", TrainingRecipe(steps=1, batch_size=4, device=device))  # type: ignore[arg-type]
        train.train_task.fn("memory://w", "emoset", "features-a", models, method, *launch)

    return run


@pytest.fixture
def limit(gpu: None, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """A limit of this test alone, with three slots; tells how many are taken."""
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(limits, "GPU", name)
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name, 3)
        yield lambda: client.read_global_concurrency_limit_by_name(name).active_slots
        client.delete_global_concurrency_limit_by_name(name)


def test_a_gpu_takes_a_slot_and_a_cpu_none(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "resolve_device", torch.device)
    for place in ("cuda", "cpu"):
        with device_slot(place):
            pass
    for settings in (LocalSettings(device="cuda"), LocalSettings(device="cpu"), ServerSettings()):
        with captioner_slot(settings):
            pass
    assert taken == [("gpu", 1), ("gpu", 1), ("captioner", 1)]


def test_a_training_takes_a_slot_of_its_device_for_every_process(
    taken: Taken, train_with: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "resolve_device", torch.device)
    monkeypatch.setattr(limits, "_require_slots", lambda *_: None)
    train_with()
    train_with(TWO)
    train_with(TWO, device="cpu")
    assert taken == [("gpu", 1), ("gpu", 2)]


def test_several_slots_are_taken_at_once_and_given_back(limit: Callable[[], int]) -> None:
    with device_slot("cuda", 2):
        assert limit() == 2
        with device_slot("cuda"):
            assert limit() == 3
    assert limit() == 0


def test_more_slots_than_there_are_is_said_in_one_line(limit: Callable[[], int], train_with: Callable[..., None]) -> None:
    with pytest.raises(TooFewSlotsError, match=r"4 processes takes 4 slots .* which has 3: train in fewer .*gcl update") as failure:
        train_with(LaunchSettings(processes=4))
    assert "\n" not in str(failure.value)
    assert limit() == 0


def test_without_a_limit_several_have_their_slots_at_once(
    gpu: None, prefect_server: str, train_with: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GPU", f"no-{uuid.uuid4().hex[:8]}")
    train_with(TWO)
    with get_client(sync_client=True) as client:
        assert limits.GPU not in [found.name for found in client.read_global_concurrency_limits()]
