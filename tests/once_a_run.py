"""What is made once a test run: by the worker of pytest-xdist that comes first, for all of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run; each worker's own one lies in it."""
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def once_a_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills, empty before, unless another worker has filled it; who comes meanwhile waits. Nobody may change it."""
    folder = run_folder(factory) / name
    done = folder / ".made"
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            folder.mkdir()  # fails when it was tried before and failed: the reason stands at the test that tried
            make(folder)
            done.touch()
    return folder
