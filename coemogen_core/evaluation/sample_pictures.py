"""The samples of a run: their features, an emotion at a time, and single pictures. `reference` has the real ones.

Features lie under `evaluation/<features id>/samples` as safetensors, keyed by the hash of their pictures: what exists is never computed
again.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.evaluation.emogen_pairs import PictureAccess, Place
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, LabelledImage, block_order, compute_features, concatenate, is_decodable
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Table, Workspace
from schemas.outcomes import PartOutcome


def sample_part(
    workspace: Workspace,
    run_id: str,
    method: str,
    emotion: Emotion,
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    *,
    slot: Slot = nullcontext,
) -> tuple[PartOutcome, ImageFeatures]:
    """Features of the samples of one method and emotion, computed or read.

    Raises:
        FileNotFoundError: there are no such samples: generate them first.
    """
    started, images = time.perf_counter(), _labelled(SampleSet(workspace, run_id, method), emotion)
    digests = b"".join(hashlib.sha256(image.data).digest() for image in images)
    name = f"{emotion}-{hashlib.sha256(digests).hexdigest()[:12]}.safetensors"
    place = ("evaluation", recipe.features_id(extractors), "samples", name)
    return cached_features(workspace, place, lambda: images, recipe, extractors, emotion, started, slot)


def sample_rows(workspace: Workspace, run_id: str, method: str, emotion: Emotion, recipe: EvaluationRecipe, rejected: int) -> list[int]:
    """Which of the emotion's samples each row of their features (`sample_part`) is of; `rejected` of them could not be decoded."""
    samples = SampleSet(workspace, run_id, method)
    order = block_order(samples.count(emotion), recipe.seed)
    if not rejected:
        return [int(row) for row in order]
    images = _labelled(samples, emotion)
    return [int(row) for row in order if is_decodable(images[row].data)]


@dataclass(frozen=True)
class EvaluatedSet:
    """What the evaluation knows of every single picture of a set: its features, and where the picture of every row is."""

    features: ImageFeatures
    places: Sequence[Place]
    pictures: PictureAccess

    @property
    def emotions(self) -> NDArray[np.int64]:
        """Index in EMOTIONS of what every picture was made for, [n]."""
        return self.features.emotions.astype(np.int64)

    def rows_of_first(self, count: int) -> NDArray[np.intp]:
        """Rows of the first `count` pictures of every emotion, in their order."""
        first = [(place, row) for row, place in enumerate(self.places) if place[1] < count]
        return np.array([row for _, row in sorted(first)], dtype=np.intp)

    def encoded(self, rows: Sequence[int]) -> list[bytes]:
        """The encoded pictures of some rows."""
        return self.pictures.load([self.places[row] for row in rows])


def evaluated_samples(
    workspace: Workspace,
    run_id: str,
    method: str,
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    emotions: Collection[str] = EMOTIONS,
    *,
    slot: Slot = nullcontext,
) -> EvaluatedSet:
    """The samples of one method of a run, of these emotions; their features are read where the evaluation left them.

    Raises:
        FileNotFoundError: there are no samples.
    """
    blocks, places = [], []
    for emotion in (each for each in SampleSet(workspace, run_id, method).emotions() if each in emotions):
        _, features = sample_part(workspace, run_id, method, emotion, recipe, extractors, slot=slot)
        rows = sample_rows(workspace, run_id, method, emotion, recipe, int(features.rejected.sum()))
        places += [(EMOTIONS.index(emotion), row) for row in rows]
        blocks.append(features)
    return EvaluatedSet(concatenate(blocks), places, stored_samples(workspace, run_id, method))


@dataclass(frozen=True)
class StoredPictures:
    """Single pictures of a table by emotion and number."""

    table: Table
    rows: Sequence[Sequence[tuple[str, NDArray[np.integer]]]]  # for every emotion the parts that have it, and its rows there

    def counts(self) -> list[int]:
        """Pictures of every emotion, [8]."""
        return [sum(len(rows) for _, rows in parts) for parts in self.rows]

    def load(self, places: Sequence[Place]) -> list[bytes]:
        """The encoded pictures at some places, in their order; every part is read once, in small batches."""
        wanted = [self._find(*place) for place in places]
        by_part: dict[str, set[int]] = defaultdict(set)
        for part, row in wanted:
            by_part[part].add(row)
        found = {(part, row): data for part, rows in by_part.items() for row, data in self._rows_of(part, rows)}
        return [found[place] for place in wanted]

    def _find(self, emotion: int, number: int) -> tuple[str, int]:
        left = number
        for part, rows in self.rows[emotion]:
            if left < len(rows):
                return part, int(rows[left])
            left -= len(rows)
        raise IndexError(f"{self.table.uri} has no picture {number} of {EMOTIONS[emotion]} beyond its parts")

    def _rows_of(self, part: str, rows: set[int]) -> Iterator[tuple[int, bytes]]:
        start = 0
        for batch in self.table.iter_part(part, ["image"]):
            for row in sorted(rows):
                if start <= row < start + batch.height:
                    yield row, batch["image"][row - start]["bytes"]
            start += batch.height


def stored_samples(workspace: Workspace, run_id: str, method: str, emotions: Collection[str] = EMOTIONS) -> StoredPictures:
    """The samples of one method of a run, of these emotions."""
    samples = SampleSet(workspace, run_id, method)
    parts = [samples.parts(emotion) if emotion in emotions else [] for emotion in EMOTIONS]
    return StoredPictures(samples.table, [[(part, np.arange(samples.table.count([part]))) for part in found] for found in parts])


def _labelled(samples: SampleSet, emotion: Emotion) -> list[LabelledImage]:
    rows = samples.read(emotion, ["index", "image"])
    return [LabelledImage(str(row["index"]), emotion, row["image"]["bytes"]) for row in rows.iter_rows(named=True)]


def cached_features(
    workspace: Workspace,
    place: tuple[str, ...],
    images: Callable[[], Sequence[LabelledImage]],
    recipe: EvaluationRecipe,
    extractors: ExtractorSet,
    part: str,
    started: float,
    slot: Slot,
) -> tuple[PartOutcome, ImageFeatures]:
    """The features in a file, which are computed of these images where there is none."""
    reused, found = workspace.exists(*place), None
    if not reused:
        pictures = images()
        with slot():
            reused = workspace.exists(*place)  # by another run, while this one waited
            found = None if reused else compute_features(pictures, extractors, recipe)
    if found is not None:
        workspace.write_file(found.to_bytes(), *place)
    features = ImageFeatures.from_bytes(workspace.read_file(*place)) if found is None else found
    seconds, dropped = time.perf_counter() - started, int(features.rejected.sum())
    return PartOutcome(part=part, rows=len(features.emotions), dropped=dropped, reused=reused, seconds=seconds), features
