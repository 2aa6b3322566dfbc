"""Everything that the metrics need to know of a set of images, computed once, in one pass and in bounded memory.

Images come in blocks of at most a part (a thousand encoded pictures). A block is shuffled (seeded) and sorted by emotion, goes
through every extractor in batches, and leaves a few numbers per image behind.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from coemogen_core.data.decode import UnreadableImage
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation import colour
from coemogen_core.evaluation.extractors import ExtractorSet, RgbBatch, decode_rgb
from coemogen_core.evaluation.lpips import PairDistances, circle_distances, perceptual_vectors
from coemogen_core.evaluation.recipe import EvaluationRecipe


@dataclass(frozen=True)
class LabelledImage:
    """One encoded picture and the emotion it stands for."""

    name: str
    emotion: Emotion
    data: bytes


@dataclass(frozen=True)
class ImageFeatures:
    """Features of n images: everything that any metric needs, and nothing as large as a picture."""

    emotions: NDArray[np.uint8]  # [n], index in EMOTIONS
    fid: NDArray[np.float32]  # [n, d]
    probabilities: NDArray[np.float32]  # [probes, n, 8]
    object_top1: NDArray[np.float32]  # [n]
    scene_top1: NDArray[np.float32]  # [n]
    embeddings: NDArray[np.float32]  # [n, d]
    brightness: NDArray[np.float32]  # [n]
    colourfulness: NDArray[np.float32]  # [n]
    pair_left: NDArray[np.int32]  # [p], index of an image
    pair_right: NDArray[np.int32]  # [p]
    pair_distance: NDArray[np.float32]  # [p]
    rejected: NDArray[np.int32]  # [1], images that could not be decoded

    @property
    def pairs(self) -> PairDistances:
        """The LPIPS pairs."""
        return PairDistances(self.pair_left, self.pair_right, self.pair_distance)

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        return save({field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)})

    def digest(self) -> str:
        """Hash of all features: equal images, extractors and pairs give equal digests."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    @classmethod
    def from_bytes(cls, data: bytes) -> "ImageFeatures":
        """Read what `to_bytes` wrote."""
        return cls(**load(data))


def compute_features(block: Sequence[LabelledImage], extractors: ExtractorSet, recipe: EvaluationRecipe) -> ImageFeatures:
    """Features of one block of images.

    Args:
        block: encoded pictures, all in memory; one that cannot be decoded is left out and counted.
        extractors: the networks.
        recipe: seed of the order that decides which images become LPIPS pairs, their number, pictures decoded at a time.
    """
    order = block_order(len(block), recipe.seed)
    runs: list[ImageFeatures] = []
    for emotion in EMOTIONS:
        members = [block[index] for index in order if block[index].emotion == emotion]
        if members:
            runs.append(_features_of_emotion(members, EMOTIONS.index(emotion), extractors, recipe))
    return concatenate(runs) if runs else empty_features(len(extractors.emotion_probes))


def block_order(count: int, seed: int) -> NDArray[np.intp]:
    """In which order the images of a block are looked at: row k of the features of one emotion is of its k-th readable image."""
    return np.random.default_rng(seed).permutation(count)


def concatenate(blocks: Sequence[ImageFeatures]) -> ImageFeatures:
    """Features of several blocks as one; pairs stay inside their block. Raises ValueError for no blocks."""
    if not blocks:
        raise ValueError("no blocks of features to join")
    filled = [block for block in blocks if len(block.emotions)] or [blocks[0]]
    offsets = np.cumsum([0] + [len(block.emotions) for block in filled[:-1]])
    moved = [
        replace(block, pair_left=block.pair_left + int(offset), pair_right=block.pair_right + int(offset))
        for block, offset in zip(filled, offsets, strict=True)
    ]
    joined = {
        field.name: np.concatenate([getattr(block, field.name) for block in moved], axis=1 if field.name == "probabilities" else 0)
        for field in fields(ImageFeatures)
    }
    joined["rejected"] = np.array([sum(int(block.rejected.sum()) for block in blocks)], dtype=np.int32)
    return ImageFeatures(**joined)


def empty_features(probes: int, rejected: int = 0) -> ImageFeatures:
    """Features of no image."""
    numbers, indices = np.empty(0, np.float32), np.empty(0, np.int32)
    return ImageFeatures(
        emotions=np.empty(0, np.uint8),
        fid=np.empty((0, 0), np.float32),
        probabilities=np.empty((probes, 0, len(EMOTIONS)), np.float32),
        object_top1=numbers,
        scene_top1=numbers,
        embeddings=np.empty((0, 0), np.float32),
        brightness=numbers,
        colourfulness=numbers,
        pair_left=indices,
        pair_right=indices,
        pair_distance=numbers,
        rejected=np.array([rejected], np.int32),
    )


def _features_of_emotion(
    images: Sequence[LabelledImage], emotion: int, extractors: ExtractorSet, recipe: EvaluationRecipe
) -> ImageFeatures:
    """Features of images of one emotion, in circle order."""
    good = [image for image in images if is_decodable(image.data)]
    if not good:
        return empty_features(len(extractors.emotion_probes), rejected=len(images))
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in _ROW_FIELDS}

    def vectors() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(good), recipe.batch_size):
            batch = [decode_rgb(image.data) for image in good[start : start + recipe.batch_size]]
            for name, values in _batch_features(batch, extractors).items():
                rows[name].append(values)
            if recipe.pair_neighbours:
                yield from perceptual_vectors(extractors.perceptual.feature_maps(batch), extractors.perceptual.layer_weights)
            else:
                yield from np.empty((len(batch), 0), np.float32)

    pairs = circle_distances(vectors(), len(good), recipe.pair_neighbours)
    return ImageFeatures(
        emotions=np.full(len(good), emotion, np.uint8),
        pair_left=pairs.left,
        pair_right=pairs.right,
        pair_distance=pairs.distance,
        rejected=np.array([len(images) - len(good)], np.int32),
        **{name: np.concatenate(values, axis=1 if name == "probabilities" else 0) for name, values in rows.items()},
    )


_ROW_FIELDS = ("fid", "probabilities", "object_top1", "scene_top1", "embeddings", "brightness", "colourfulness")


def _batch_features(batch: RgbBatch, extractors: ExtractorSet) -> dict[str, NDArray[np.float32]]:
    objects, scenes = extractors.content.top1_probabilities(batch)
    return {
        "fid": extractors.fid.features(batch),
        "probabilities": np.stack([probe.probabilities(batch) for probe in extractors.emotion_probes]),
        "object_top1": objects,
        "scene_top1": scenes,
        "embeddings": extractors.clip.embeddings(batch),
        "brightness": np.array([colour.brightness(rgb) for rgb in batch], np.float32),
        "colourfulness": np.array([colour.colourfulness(rgb) for rgb in batch], np.float32),
    }


def is_decodable(data: bytes) -> bool:
    """Whether these bytes are a usable picture."""
    try:
        decode_rgb(data)
    except UnreadableImage:
        return False
    return True
