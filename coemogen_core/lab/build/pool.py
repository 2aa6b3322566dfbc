"""Pools of rendered scenes for training and for held-out measurement, kept as one uint8 array so that training never draws."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.painterly import STYLES, paint
from coemogen_core.lab.scenes.scene import Scene, render, sample_scene

Kind = Literal["neutral", "emotional", "mixed"]


@dataclass(frozen=True)
class ScenePool:
    """Rendered scenes: `pixels` uint8 [n, 64, 64, 3], their truth, and whether each was painted."""

    pixels: np.ndarray
    scenes: list[Scene]
    painted: np.ndarray

    def __len__(self) -> int:
        return len(self.scenes)

    def captions(self, style: int = 0) -> list[str]:
        """A truthful caption of every scene."""
        return [caption_of(scene, style + index) for index, scene in enumerate(self.scenes)]


def draw_pool(count: int, seed: int, kind: Kind, painted_share: float = 0.0) -> ScenePool:
    """Sample and draw scenes.

    Args:
        count: how many.
        seed: seed of everything; different seeds give disjoint pictures for all practical purposes.
        kind: neutral renderings of any content, emotional ones of the eight emotions in turn, or half and half.
        painted_share: share that passes through a random painterly style.
    """
    rng = np.random.default_rng(seed)
    pixels = np.empty((count, 64, 64, 3), dtype=np.uint8)
    painted = rng.random(count) < painted_share
    scenes = []
    for index in range(count):
        scene = sample_scene(rng, _emotion_at(index, kind))
        picture = render(scene)
        if painted[index]:
            picture = paint(picture, str(rng.choice(list(STYLES))), scene.seed)
        pixels[index] = np.asarray(picture)
        scenes.append(scene)
    return ScenePool(pixels, scenes, painted)


def cached_pool(folder: Path, name: str, count: int, seed: int, kind: Kind, painted_share: float = 0.0) -> ScenePool:
    """`draw_pool`, kept in a folder under a name so that the builders of several models share the drawing."""
    pixels, truth = folder / f"{name}.npy", folder / f"{name}.json"
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pool = draw_pool(count, seed, kind, painted_share)
        np.save(pixels, pool.pixels)
        truth.write_text(json.dumps({"scenes": [asdict(scene) for scene in pool.scenes], "painted": pool.painted.tolist()}))
    known = json.loads(truth.read_text())
    return ScenePool(np.load(pixels, mmap_mode="r"), [Scene(**scene) for scene in known["scenes"]], np.array(known["painted"]))


def _emotion_at(index: int, kind: Kind) -> Emotion | None:
    if kind == "neutral" or (kind == "mixed" and index % 2):
        return None
    return EMOTIONS[(index // (2 if kind == "mixed" else 1)) % len(EMOTIONS)]
