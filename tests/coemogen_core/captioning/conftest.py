"""Fixtures of captioning: a random LLaVA, a workspace, and a captioning server that misbehaves on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.coemogen_core.captioning.stub_server import StubServer


@pytest.fixture(scope="session")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.coemogen_core.captioning.tiny_llava import build_tiny_llava

    return build_tiny_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def _running_stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
def stub(_running_stub: StubServer) -> StubServer:
    """A captioning server that behaves; not to be stopped by a test."""
    _running_stub.reset()
    return _running_stub
