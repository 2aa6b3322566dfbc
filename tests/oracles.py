"""Other people's code to compare with, where it wants a torchvision that is not installed: a stand-in serves while it is imported."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import transformers  # noqa: F401  looks for torchvision at import, and must not see the stand-in

NAMES = ("torchvision", "torchvision.datasets", "torchvision.models", "torchvision.transforms", "torchvision.transforms.functional")


def oracle(module: str, features: Callable[[], torch.nn.Module] | None = None) -> Any:
    """A module of torch-fidelity or of lpips; the test is skipped where the package is absent (tests/oracles.txt).

    Args:
        module: its full name.
        features: what `torchvision.models.alexnet(...).features` is while the module is imported, and later.
    """
    with _stand_in(features):
        return pytest.importorskip(module, reason="pip install --no-deps --requirement tests/oracles.txt")


@contextmanager
def _stand_in(features: Callable[[], torch.nn.Module] | None) -> Iterator[None]:
    if "torchvision" in sys.modules:
        yield
        return
    modules = {name: ModuleType(name) for name in NAMES}
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)
    for dataset in ("CIFAR10", "STL10", "CIFAR100"):
        setattr(modules["torchvision.datasets"], dataset, object)
    if features is not None:
        vars(modules["torchvision.models"])["alexnet"] = lambda **_: SimpleNamespace(features=features())
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in NAMES:
            sys.modules.pop(name, None)
