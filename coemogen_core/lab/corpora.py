"""The lab's two corpora on disk, in the layouts of the real ones: labelled photos as EmoSet, unlabelled paintings as WikiArt.

What each picture truly shows is written to a separate file outside the corpus, so that nothing in the chain can read it by accident.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.lab.scenes.backdrops import BACKDROPS
from coemogen_core.lab.scenes.captions import annotation_of
from coemogen_core.lab.scenes.painterly import STYLES, paint
from coemogen_core.lab.scenes.scene import Scene, render, sample_scene
from coemogen_core.lab.scenes.world import CONTENTS

WORLD_VERSION = 1  # raise it when the same seed no longer draws the same pictures
AMBIGUOUS_SHARE = 0.12  # photos whose label hardly shows, as in every set labelled by a crowd
NEUTRAL_SHARE = 1 / 3  # paintings without a feeling
RARE: dict[Emotion, float] = {"excitement": 0.03, "disgust": 0.03}  # of the paintings with one
SPLIT_SHARES = {"train": 0.8, "val": 0.05, "test": 0.15}  # as EmoSet's
ARTISTS = (
    "ada-lindqvist",
    "bruno-achterberg",
    "carmen-olivares",
    "dmitri-volkov",
    "edith-marlowe",
    "fumiko-arai",
    "gaspard-tellier",
    "hana-novak",
)


def write_photos(root: Path, count: int, seed: int) -> Path:
    """Write a labelled photo set in EmoSet's layout; does nothing where the same set stands already.

    Args:
        root: folder of the set; its truth goes to `<root>_truth.json`.
        count: number of photos, the eight emotions in equal parts.
        seed: seed of all pictures, labels and splits.
    """
    if _stands(root, count, seed):
        return root
    rng = np.random.default_rng(seed)
    rows, truth = [], {}
    for index in range(count):
        emotion = EMOTIONS[index % len(EMOTIONS)]
        scene = sample_scene(rng, emotion, ambiguous=bool(rng.random() < AMBIGUOUS_SHARE))
        name = f"{emotion}_{index // len(EMOTIONS):05d}"
        picture, paths = render(scene), (f"image/{emotion}/{name}.jpg", f"annotation/{emotion}/{name}.json")
        _save(picture, root / paths[0])
        _dump({"image_id": name, "emotion": emotion, **annotation_of(scene, picture)}, root / paths[1])
        rows.append([emotion, name, *paths])
        truth[paths[0]] = asdict(scene)
    for split, chosen in _splits(rows, rng):
        _dump(chosen, root / f"{split}.json")
    _dump(_label_maps(), root / "info.json")
    _finish(root, count, seed, truth)
    return root


def write_paintings(root: Path, count: int, seed: int) -> Path:
    """Write an unlabelled painting set in WikiArt's layout, `<Style>/<artist>_<title>.jpg`; does nothing where it stands already.

    A third of the paintings show neutral scenes; excitement and disgust are rare. Arguments as in `write_photos`.
    """
    if _stands(root, count, seed):
        return root
    rng = np.random.default_rng(seed)
    truth = {}
    for index in range(count):
        scene = sample_scene(rng, _painted_emotion(rng))
        style = str(rng.choice(list(STYLES)))
        path = f"{style}/{rng.choice(ARTISTS)}_composition-{index:05d}.jpg"
        _save(paint(render(scene), style, scene.seed), root / path)
        truth[path] = asdict(scene)
    _finish(root, count, seed, truth)
    return root


def read_truth(root: Path) -> dict[str, Scene]:
    """What every picture of a set truly shows, by its path within the set."""
    return {path: Scene(**scene) for path, scene in json.loads(_truth_file(root).read_text())["pictures"].items()}


def _painted_emotion(rng: np.random.Generator) -> Emotion | None:
    if rng.random() < NEUTRAL_SHARE:
        return None
    common = (1 - sum(RARE.values())) / (len(EMOTIONS) - len(RARE))
    return EMOTIONS[int(rng.choice(len(EMOTIONS), p=[RARE.get(emotion, common) for emotion in EMOTIONS]))]


def _splits(rows: Sequence[list[str]], rng: np.random.Generator) -> Iterator[tuple[str, list[list[str]]]]:
    order, start = rng.permutation(len(rows)), 0.0
    for split, share in SPLIT_SHARES.items():
        chosen = order[round(start * len(rows)) : round((start + share) * len(rows))]
        start += share
        yield split, [rows[index] for index in sorted(chosen)]


def _label_maps() -> dict[str, Any]:
    tenths = [f"{step / 10:.1f}" for step in range(11)]
    feelings = [feeling for content in CONTENTS.values() for feeling in content.feelings.values()]
    labels: dict[str, list[str]] = {
        "emotion": list(EMOTIONS),
        "brightness": tenths,
        "colorfulness": tenths,
        "scene": sorted(BACKDROPS),
        "object": sorted(CONTENTS),
        "facial_expression": sorted({feeling.facial_expression for feeling in feelings if feeling.facial_expression}),
        "human_action": sorted({feeling.human_action for feeling in feelings if feeling.human_action}),
    }
    return {
        kind: {
            "label2idx": {name: index for index, name in enumerate(names)},
            "idx2label": {str(index): name for index, name in enumerate(names)},
        }
        for kind, names in labels.items()
    }


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=95, subsampling=0)


def _dump(value: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def _truth_file(root: Path) -> Path:
    return root.with_name(root.name + "_truth.json")


def _finish(root: Path, count: int, seed: int, truth: dict[str, Any]) -> None:
    """Written last: its presence says that the set is complete."""
    _dump({"world_version": WORLD_VERSION, "count": count, "seed": seed, "pictures": truth}, _truth_file(root))


def _stands(root: Path, count: int, seed: int) -> bool:
    file = _truth_file(root)
    if not file.exists():
        return False
    known = json.loads(file.read_text())
    return (known["world_version"], known["count"], known["seed"]) == (WORLD_VERSION, count, seed)
