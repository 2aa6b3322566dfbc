"""Small sources on disk (or in memory) in the layouts that the readers know."""

import json
from pathlib import Path

import pytest

from coemogen_core.storage.location import resolve
from tests.coemogen_core.data.pictures import jpeg

SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"  # laid beside the repository where there is one
needs_shared_data = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no data sets in {SHARED_DATA}")


def put(root: str, path: str, data: bytes | str) -> None:
    filesystem, folder = resolve(root)
    target = f"{folder}/{path}"
    filesystem.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
    with filesystem.open(target, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def entry(emotion: str, number: int) -> list[str]:
    name = f"{emotion}_{number:05d}"
    return [emotion, name, f"image/{emotion}/{name}.jpg", f"annotation/{emotion}/{name}.json"]


def make_emoset(root: str, splits: dict[str, list[tuple[str, int]]]) -> str:
    """Every (emotion, number) becomes a picture of its own with an annotation."""
    for split, members in splits.items():
        entries = [entry(emotion, number) for emotion, number in members]
        for (emotion, number), (_, name, image, annotation) in zip(members, entries, strict=True):
            put(root, image, jpeg(seed=hash_of(emotion, number)))
            said = {"image_id": name, "emotion": emotion, "brightness": 0.4, "colorfulness": 0.7, "object": ["Tree"]}
            put(root, annotation, json.dumps(said))
        put(root, f"{split}.json", json.dumps(entries))
    return root


def make_wikiart(root: str, count: int = 3) -> str:
    for number in range(count):
        put(root, f"Cubism/juan-gris_still-life-{number}.jpg", jpeg(seed=number))
    return root


def hash_of(emotion: str, number: int) -> int:
    return sum(map(ord, emotion)) * 1000 + number
