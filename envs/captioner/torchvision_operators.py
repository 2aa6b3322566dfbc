"""Defines torchvision's operators before torchvision is imported, for an environment whose torchvision was compiled for another torch.

torchvision's Python code registers shape rules for `torchvision::nms` and `torchvision::qnms` at import and fails when its compiled
part, which declares them, did not load. Image processing needs neither, so declarations without a body are enough. `mend.py` installs
this file as a module of the environment, and a `.pth` file that imports it at every start of its Python.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

OPERATORS = ("nms", "qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_declared: list[object] = []  # torch forgets the operators of a library that nobody holds


def declare_operators() -> None:
    """Declare what the compiled part of torchvision would have declared."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in OPERATORS:
        library.define(name + SIGNATURE)
    _declared.append(library)


class BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds torchvision where it is, and declares the operators when it is loaded: looking for it must not import torch."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Spec of torchvision with the declaration put before its own code; None for every other module."""
        if fullname != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def declare_and_load(module: ModuleType) -> None:
            declare_operators()
            load(module)

        spec.loader.exec_module = declare_and_load  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, BeforeTorchvision())
