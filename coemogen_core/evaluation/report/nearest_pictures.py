"""The nearest training pictures of the samples that the gallery shows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from coemogen_core.data.workspace import Workspace
from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.extractors import ImageEmbedder, decode_rgb
from coemogen_core.evaluation.memorisation import (
    PERCENTILE,
    Neighbour,
    TypicalDistances,
    VectorPart,
    batched_ids,
    draw_training_pictures,
    nearest_neighbours,
    pixel_distance,
)
from coemogen_core.evaluation.report.data import MemorisationPart, MemorisationRow, TrainingPair
from coemogen_core.evaluation.report.evaluated import EvaluatedSet
from coemogen_core.evaluation.report.pictures import inline_picture
from coemogen_core.training.feature_set import list_parts, local_path

DRAWN = 500
PIXELS_DRAWN = 64
CHECKED = 8
SAME_CLIP = 0.9
"""Cosine of two embeddings of one picture by one CLIP: 1 but for half precision and the crop. Of two CLIPs: about 0."""
SIDE = 96


@dataclass(frozen=True)
class TrainingSet:
    """The pictures that a model was trained on: cached embeddings, and where the pictures are."""

    workspace: Workspace
    dataset: str
    feature_id: str
    source: str

    def parts(self) -> Iterator[VectorPart]:
        """The CLIP embeddings as they were trained on (not mirrored), part by part; of each file only these are read."""
        for name in list_parts(self.workspace, self.dataset, self.feature_id):
            uri = self.workspace.path("features", self.dataset, self.feature_id, f"{name}.safetensors")
            with safe_open(local_path(uri), framework="np") as file:
                ids = [bytes(digest).hex() for digest in file.get_tensor("image_id")]
                yield VectorPart(name, ids, file.get_tensor("visual")[:, 0])

    def pictures(self, neighbours: Iterable[Neighbour]) -> dict[str, bytes]:
        """The encoded pictures by image id."""
        images = self.workspace.table("images", self.source)
        return {image_id: data for part, wanted in batched_ids(neighbours) for image_id, data in images.iter_pictures(part, wanted)}


def memorisation_part(
    training: TrainingSet, sets: Mapping[str, EvaluatedSet], labels: Mapping[str, str], clip: ImageEmbedder, columns: int, seed: int
) -> MemorisationPart | None:
    """The nearest training pictures of the first `columns` samples of every method and emotion.

    Returns:
        None where fewer than two training pictures are known, or where their embeddings are not by this CLIP.
    """
    images = sum(len(part.image_ids) for part in training.parts())
    shown = {method: found.rows_of_first(columns) for method, found in sets.items()}
    if images < 2 or not any(map(len, shown.values())) or not _is_by(clip, training, seed):
        return None
    typical = _typical(training, seed)
    queries = np.concatenate([sets[method].features.embeddings[rows] for method, rows in shown.items()])
    neighbours = iter(nearest_neighbours(queries, training.parts()))
    found = {method: [next(neighbours) for _ in rows] for method, rows in shown.items()}
    pictures = training.pictures(neighbour for some in found.values() for neighbour in some)
    by_method = {
        method: _pairs(sets[method], rows, found[method], pictures, typical, f"by {labels[method]}") for method, rows in shown.items()
    }
    by_emotion = []
    for index, emotion in enumerate(EMOTIONS):
        own = {method: [pair for place, pair in some if place == index] for method, some in by_method.items()}
        by_emotion.append(MemorisationRow(emotion=emotion, pairs=own))
    return MemorisationPart(
        images=images,
        compared=len(typical.similarities),
        similarity_limit=typical.similarity_limit,
        pixel_limit=typical.pixel_limit,
        percentile=PERCENTILE,
        rows=[row for row in by_emotion if any(row.pairs.values())],
    )


def _is_by(clip: ImageEmbedder, training: TrainingSet, seed: int) -> bool:
    """Whether the kept embeddings are what this CLIP says of the same pictures."""
    drawn, kept = draw_training_pictures(training.parts, CHECKED, seed)
    pictures = training.pictures(drawn)
    now = clip.embeddings([decode_rgb(pictures[neighbour.image_id]) for neighbour in drawn]).astype(np.float64)
    if now.shape != kept.shape:
        return False
    lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(kept.astype(np.float64), axis=1)
    return bool(np.median((now * kept).sum(axis=1) / lengths.clip(1e-12)) > SAME_CLIP)


def _typical(training: TrainingSet, seed: int) -> TypicalDistances:
    drawn, vectors = draw_training_pictures(training.parts, DRAWN, seed)
    nearest = nearest_neighbours(vectors, training.parts(), [neighbour.image_id for neighbour in drawn])
    some = np.random.default_rng(seed).permutation(len(drawn))[:PIXELS_DRAWN]
    pictures = training.pictures(neighbour for row in some for neighbour in (drawn[row], nearest[row]))
    distances = [pixel_distance(pictures[drawn[row].image_id], pictures[nearest[row].image_id]) for row in some]
    return TypicalDistances(np.array([neighbour.similarity for neighbour in nearest]), np.array(distances))


def _pairs(
    found: EvaluatedSet,
    rows: NDArray[np.intp],
    neighbours: list[Neighbour],
    pictures: Mapping[str, bytes],
    typical: TypicalDistances,
    alt: str,
) -> list[tuple[int, TrainingPair]]:
    """Emotion and pair of every row."""
    chosen = [int(row) for row in rows]
    pairs = []
    samples = zip(chosen, found.inline(chosen, alt, SIDE), found.encoded(chosen), neighbours, strict=True)
    for row, sample, encoded, neighbour in samples:
        data = pictures[neighbour.image_id]
        distance = pixel_distance(encoded, data)
        pair = TrainingPair(
            sample=sample,
            nearest=inline_picture(data, f"the training picture nearest to {sample.alt}", SIDE),
            similarity=neighbour.similarity,
            share=typical.share_less_similar(neighbour.similarity),
            pixel_distance=min(distance, 1.0),
            near_copy=typical.is_near_copy(neighbour.similarity, distance),
        )
        pairs.append((found.places[row][0], pair))
    return pairs
