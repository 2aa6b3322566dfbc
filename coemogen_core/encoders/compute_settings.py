"""How an image encoder runs: number format, batch size and device. Every encoder's recipe has these."""

from typing import Annotated

import torch
from pydantic import Field

from coemogen_core.device import resolve_device
from coemogen_core.recipe import NotIdentifying, Recipe
from schemas.choices import Device, Precision

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ComputeSettings(Recipe):
    """Number format, batch size and device."""

    precision: Precision = Field(default="float32", description="number format that the model computes in")
    batch_size: Annotated[int, NotIdentifying] = Field(
        default=64, ge=1, le=4096, description="pictures or texts per forward pass, filled up to eights"
    )
    device: Annotated[Device, NotIdentifying] = Field(default="auto", description="where it runs")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format that `precision` stands for."""
        return _DTYPES[self.precision]

    @property
    def torch_device(self) -> torch.device:
        """The device that `device` stands for on this machine."""
        return resolve_device(self.device)
