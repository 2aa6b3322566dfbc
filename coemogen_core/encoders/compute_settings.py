"""How an image encoder runs: number format, batch size and device. Every encoder's recipe has these."""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class ComputeSettings(BaseModel):
    """Number format, batch size and device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["float32", "float16", "bfloat16"] = Field(default="float32", description="number format that the model computes in")
    batch_size: int = Field(default=64, ge=1, le=4096, description="pictures or texts per forward pass; not part of the recipe id")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where it runs; not part of the recipe id")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format that `precision` stands for."""
        return _DTYPES[self.precision]

    @property
    def torch_device(self) -> torch.device:
        """The device that `device` stands for on this machine."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)
