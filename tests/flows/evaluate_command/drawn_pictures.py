"""Pictures in folders named by an emotion, drawn from a seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from coemogen_core.emotions import EMOTIONS


def draw(file: Path, seed: int, size: tuple[int, int] = (64, 64), emotion: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng((seed, emotion))
    coarse = generator.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    coarse[..., 0] = coarse[..., 0] // 2 + 16 * emotion
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file)


def draw_set(folder: Path, count: int, first: int = 0, emotions: Sequence[str] = EMOTIONS) -> Path:
    for emotion in emotions:
        for k in range(count):
            draw(folder / emotion / f"{k}.png", first + k, emotion=[*EMOTIONS].index(emotion))  # type: ignore[arg-type]
    return folder
