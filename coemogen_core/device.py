"""The machine: where to compute and in whose turn, memory given back to it, library versions, the largest memory of a run."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

Network = TypeVar("Network", bound="torch.nn.Module")
Slot = Callable[[], AbstractContextManager[None]]
"""What to enter around computing, where runs take turns at a machine; `contextlib.nullcontext`, the default everywhere, has no turns.

A function that may find its result standing looks first and reads what it needs, enters the slot for what its networks compute alone, and
writes outside of it: so nothing that stands already waits behind a training.
"""


def resolve_device(device: str) -> torch.device:
    """The device that a setting stands for on this machine: one of the words of `Device`, or one by its number, `cuda:1`.

    Raises:
        ValueError: this machine has no such device.
    """
    import torch  # settings are read without it, in a tenth of the time

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.device(device)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device}: torch {torch.__version__} finds no CUDA device here; take auto or cpu, or install a CUDA build")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device}: this machine has none; take auto or cpu")
    return found


def placed(network: Network, device: torch.device) -> Network:
    """A network on its device. To be called when the network is asked something, not when it is loaded: a GPU is taken within a slot."""
    import torch

    with torch.inference_mode(mode=False):  # moved under it, the weights would be tensors of inference for ever
        return network.to(device)


def give_back_heap() -> None:
    """Return free pages of the C library's heap to the system; about 10 ms, to be called once a part.

    Pictures and their pixels are made by some threads and dropped by others. glibc then keeps ever more half-empty pages: 4 MiB more with
    every thousand pictures embedded, without anything being leaked. Does nothing where the C library has no `malloc_trim`.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


LIBRARIES = ("coemogen", "torch", "diffusers", "transformers", "prefect", "polars", "pyarrow", "numpy", "scipy")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a number; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory_mib() -> float:
    """Largest resident memory so far, MiB: of this process, or of its largest finished child where that was more."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(own, children) * unit / 2**20
