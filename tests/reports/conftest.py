"""Kinds of trouble that people of this trade report, each as it arrives in life; a file a kind."""

from tests.coemogen_core.captioning.conftest import _running_stub, stub
from tests.flows.conftest import chain, world

__all__ = ["_running_stub", "chain", "stub", "world"]
