"""What the evaluation knows of every single sample, for the sections that show single samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emogen_pairs import PictureAccess, Place
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.features import ImageFeatures, concatenate
from coemogen_core.evaluation.image_parts import sample_part, sample_rows, sampled_emotions
from coemogen_core.evaluation.recipe import EvaluationRecipe
from coemogen_core.evaluation.stored_pictures import StoredSamples
from coemogen_core.storage.workspace import Workspace


@dataclass(frozen=True)
class EvaluatedSet:
    """The features of one set of pictures, and where the picture of every row is."""

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


def evaluated_samples(workspace: Workspace, run_id: str, method: str, recipe: EvaluationRecipe, extractors: ExtractorSet) -> EvaluatedSet:
    """The samples of one method of a run; their features are read where the evaluation left them.

    Raises:
        FileNotFoundError: there are no samples.
    """
    blocks, places = [], []
    for emotion in sampled_emotions(workspace, run_id, method):
        _, features = sample_part(workspace, run_id, method, emotion, recipe, extractors)
        rows = sample_rows(workspace, run_id, method, emotion, recipe, int(features.rejected.sum()))
        places += [(EMOTIONS.index(emotion), row) for row in rows]
        blocks.append(features)
    return EvaluatedSet(concatenate(blocks), places, StoredSamples(workspace, run_id, method))
