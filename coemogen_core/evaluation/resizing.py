"""How pictures reach the size that a network wants: averaged down, or as the public evaluation code does it."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from coemogen_core.evaluation.extractors import RgbBatch


def resize_without_antialiasing(batch: RgbBatch, side: int) -> torch.Tensor:
    """Pictures as pixels [n, 3, side, side] in [0, 1], bilinear between four neighbours: large pictures are sampled, not averaged."""
    return torch.cat(
        [F.interpolate(_pixels(rgb)[None], size=(side, side), mode="bilinear", align_corners=False, antialias=False) for rgb in batch]
    )


def resize(batch: RgbBatch, side: int) -> torch.Tensor:
    """Pictures as pixels [n, 3, side, side] in [0, 1], bicubic with antialiasing, in 8 bits (Parmar et al. 2022, "On aliased resizing")."""
    squares = [np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC)) for rgb in batch]
    return torch.stack([_pixels(rgb) for rgb in squares])


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
