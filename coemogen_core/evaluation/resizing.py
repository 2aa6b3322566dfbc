"""How pictures reach the size that a network wants. Pillow averages over all pixels of a large picture, whatever the kernel."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coemogen_core.evaluation.extractors import RgbBatch


def resize(batch: RgbBatch, side: int) -> torch.Tensor:
    """Pictures as pixels [n, 3, side, side] in [0, 1], bicubic with antialiasing, in 8 bits (Parmar et al. 2022, "On aliased resizing")."""
    return _square(batch, side, Image.Resampling.BICUBIC)


def resize_bilinear(batch: RgbBatch, side: int) -> torch.Tensor:
    """The same with the bilinear kernel, which is what torchvision's `Resize` makes of a Pillow picture."""
    return _square(batch, side, Image.Resampling.BILINEAR)


def _square(batch: RgbBatch, side: int, kernel: Image.Resampling) -> torch.Tensor:
    return torch.stack([_pixels(np.asarray(Image.fromarray(rgb).resize((side, side), kernel))) for rgb in batch])


def resize_and_crop(batch: RgbBatch, edge: int, side: int) -> torch.Tensor:
    """Pictures as pixels [n, 3, side, side] in [0, 1]: shorter edge brought to `edge`, then the middle cut out, as torchvision does."""
    return torch.stack([_pixels(_middle(rgb, edge, side)) for rgb in batch])


def _middle(rgb: NDArray[np.uint8], edge: int, side: int) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    size = (edge, int(edge * height / width)) if width <= height else (int(edge * width / height), edge)
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def _pixels(rgb: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).float().div_(255)
