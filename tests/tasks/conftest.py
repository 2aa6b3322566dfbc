"""A machine whose GPU is pretended: tasks see it, what computes does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tasks import limits

Taken = list[tuple[str, int]]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device is a GPU to whoever asks for a slot."""
    monkeypatch.setattr(limits, "resolve_device", lambda _: torch.device("cuda"))


@pytest.fixture
def taken(gpu: None, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The slots that were taken: of which limit, and how many at once."""
    found: Taken = []

    @contextmanager
    def slot(limit: str, slots: int = 1) -> Iterator[None]:
        found.append((limit, slots))
        yield

    monkeypatch.setattr(limits, "_slot", slot)
    return found
