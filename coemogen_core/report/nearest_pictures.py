"""The nearest training pictures of the samples that the gallery shows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import safe_open

from coemogen_core.curation.decisions import read_record
from coemogen_core.data.part_plan import current_parts
from coemogen_core.data.standing_rows import standing_places
from coemogen_core.device import Slot
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
from coemogen_core.evaluation.sample_pictures import EvaluatedSet
from coemogen_core.report.data import MemorisationPart, NearestPairs, TrainingPair
from coemogen_core.report.pictures import inline_picture, inline_samples
from coemogen_core.report.training import TrainedFeatures
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import list_parts, local_part, version_of

DRAWN = 500
PIXELS_DRAWN = 64
CHECKED = 8
SAME_CLIP = 0.9
"""Cosine of two embeddings of one picture by one CLIP: 1 but for half precision and the crop. Of two CLIPs: about 0."""
SIDE = 96
NEAREST_SHOWN = 8
"""Of each method, the samples nearest to a training picture."""
PAIRS_SHOWN = 128
"""Of all methods together: more would make the page heavy. What is counted is not limited."""


@dataclass(frozen=True)
class TrainingSet:
    """The pictures that models were trained on: cached embeddings, and where the pictures are."""

    workspace: Workspace
    sets: Sequence[TrainedFeatures]

    def parts(self) -> Iterator[VectorPart]:
        """The CLIP embeddings that were trained on, with those of the mirror images, part by part; of each file only these are read.

        A part is called `<source>/<part>`. Pictures that their source no longer holds are left out.
        """
        seen: set[str] = set()  # stays empty with one set: so it takes memory only where a picture could come twice
        for one in sorted(self.sets, key=lambda one: not one.mirror):
            for part in self._parts_of(one):
                new = [row for row, image_id in enumerate(part.image_ids) if image_id not in seen]
                if len(self.sets) > 1:
                    seen.update(part.image_ids)
                yield part if len(new) == len(part.image_ids) else part.of(new)

    def _parts_of(self, one: TrainedFeatures) -> Iterator[VectorPart]:
        source = read_record(self.workspace, one.dataset, version_of(one.feature_id)).source
        current = set(current_parts(self.workspace, source))
        for name in list_parts(self.workspace, one.dataset, one.feature_id):
            with safe_open(local_part(self.workspace, one.dataset, one.feature_id, name), framework="np") as file:
                ids = [bytes(digest).hex() for digest in file.get_tensor("image_id")]
                vectors = file.get_tensor("visual")[:, : 1 + one.mirror]  # [n, variants, d]
            if name in current:
                yield _vector_part(f"{source}/{name}", ids, vectors)
            else:
                yield from self._moved(source, current, ids, vectors)

    def _moved(self, source: str, current: Collection[str], ids: Sequence[str], vectors: NDArray[np.floating]) -> Iterator[VectorPart]:
        """Pictures of a part that is gone, because the source was cut otherwise since, in the parts that hold them now."""
        rows = {image_id: row for row, image_id in enumerate(ids)}
        for other, part, pictures in standing_places(self.workspace, pl.Series(ids, dtype=pl.String)):
            there = [image_id for image_id in pictures if image_id in rows]
            if other == source and part in current and there:
                yield _vector_part(f"{source}/{part}", there, vectors[[rows.pop(image_id) for image_id in there]])

    def pictures(self, neighbours: Iterable[Neighbour]) -> dict[str, bytes]:
        """The encoded pictures by image id."""
        found: dict[str, bytes] = {}
        for name, wanted in batched_ids(neighbours):
            source, _, part = name.rpartition("/")
            found.update(self.workspace.table("images", source).iter_pictures(part, wanted))
        return found


def _vector_part(name: str, ids: Sequence[str], variants: NDArray[np.floating]) -> VectorPart:
    """Of embeddings [n, variants, d]: the pictures and, where they were trained on, their mirror images."""
    return VectorPart(name, ids, variants[:, 0], variants[:, 1] if variants.shape[1] > 1 else None)


@dataclass(frozen=True)
class _Found:
    """A sample and its nearest training picture, before they become pictures of the page."""

    row: int
    neighbour: Neighbour
    distance: float
    near_copy: bool


def memorisation_part(
    training: TrainingSet,
    sets: Mapping[str, EvaluatedSet],
    labels: Mapping[str, str],
    clip: ImageEmbedder,
    columns: int,
    seed: int,
    *,
    slot: Slot = nullcontext,
) -> MemorisationPart | None:
    """The nearest training pictures of the first `columns` samples of every method and emotion.

    Returns:
        None where fewer than two training pictures are known, or where their embeddings are not by this CLIP.
    """
    images = sum(len(part.image_ids) for part in training.parts())
    if images < 2 or not any(len(found.places) for found in sets.values()) or not _is_by(clip, training, seed, slot):
        return None
    typical = _typical(training, seed)
    nearest = {method: _search(found, found.rows_of_first(columns), training, typical) for method, found in sets.items()}
    limit = max(PAIRS_SHOWN // (len(sets) * len(EMOTIONS)), 1)
    methods: dict[str, NearestPairs] = {}
    by_emotion: dict[str, dict[str, list[TrainingPair]]] = {emotion: {} for emotion in EMOTIONS}
    for method, some in nearest.items():
        ranked = sorted(some, key=lambda one: (not one.near_copy, -one.neighbour.similarity))[:NEAREST_SHOWN]
        own = sets[method].places
        first = [one for one in some if own[one.row][1] < limit]
        pairs = _pairs(sets[method], [*ranked, *first], training, typical, f"by {labels[method]}")
        copies = sum(one.near_copy for one in some)
        methods[method] = NearestPairs(samples=len(some), copies=copies, nearest=pairs[: len(ranked)])
        for one, pair in zip(first, pairs[len(ranked) :], strict=True):
            by_emotion[EMOTIONS[own[one.row][0]]].setdefault(method, []).append(pair)
    return MemorisationPart(
        images=images,
        compared=len(typical.similarities),
        similarity_limit=typical.similarity_limit,
        pixel_limit=typical.pixel_limit,
        percentile=PERCENTILE,
        methods=methods,
        rows={emotion: pairs for emotion, pairs in by_emotion.items() if pairs},
    )


def _is_by(clip: ImageEmbedder, training: TrainingSet, seed: int, slot: Slot) -> bool:
    """Whether the kept embeddings are what this CLIP says of the same pictures."""
    drawn, kept = draw_training_pictures(training.parts, CHECKED, seed)
    pictures = training.pictures(drawn)
    decoded = [decode_rgb(pictures[neighbour.image_id]) for neighbour in drawn]
    with slot():
        now = clip.embeddings(decoded).astype(np.float64)
    if now.shape != kept.shape:
        return False
    lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(kept.astype(np.float64), axis=1)
    return bool(np.median((now * kept).sum(axis=1) / lengths.clip(1e-12)) > SAME_CLIP)


def _typical(training: TrainingSet, seed: int) -> TypicalDistances:
    drawn, vectors = draw_training_pictures(training.parts, DRAWN, seed)
    nearest = nearest_neighbours(vectors, training.parts(), [neighbour.image_id for neighbour in drawn])
    some = np.random.default_rng(seed).permutation(len(drawn))[:PIXELS_DRAWN]
    pictures = training.pictures(neighbour for row in some for neighbour in (drawn[row], nearest[row]))
    distances = [pixel_distance(pictures[drawn[row].image_id], pictures[nearest[row].image_id], nearest[row].mirrored) for row in some]
    return TypicalDistances(np.array([neighbour.similarity for neighbour in nearest]), np.array(distances))


def _search(found: EvaluatedSet, rows: NDArray[np.intp], training: TrainingSet, typical: TypicalDistances) -> list[_Found]:
    if not len(rows):
        return []
    neighbours = nearest_neighbours(found.features.embeddings[rows], training.parts())
    pictures, chosen = training.pictures(neighbours), rows.tolist()
    nearest = []
    for row, encoded, neighbour in zip(chosen, found.encoded(chosen), neighbours, strict=True):
        distance = pixel_distance(encoded, pictures[neighbour.image_id], neighbour.mirrored)
        nearest.append(_Found(row, neighbour, distance, typical.is_near_copy(neighbour.similarity, distance)))
    return nearest


def _pairs(found: EvaluatedSet, some: Sequence[_Found], training: TrainingSet, typical: TypicalDistances, alt: str) -> list[TrainingPair]:
    """The pictures of the page."""
    pictures = training.pictures(one.neighbour for one in some)
    samples = inline_samples(found, [one.row for one in some], alt, SIDE)
    return [
        TrainingPair(
            sample=sample,
            nearest=inline_picture(pictures[one.neighbour.image_id], f"the training picture nearest to {sample.alt}", SIDE),
            similarity=one.neighbour.similarity,
            share=typical.share_less_similar(one.neighbour.similarity),
            pixel_distance=min(one.distance, 1.0),
            mirrored=one.neighbour.mirrored,
            near_copy=one.near_copy,
        )
        for one, sample in zip(some, samples, strict=True)
    ]
