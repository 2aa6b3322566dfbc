"""The map of generated and real pictures, panel by panel."""

from collections.abc import Mapping

import numpy as np

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.embedding_map import draw_rows, map_embeddings
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.evaluation.report.data import MapPanel, MapPart

PER_EMOTION = 40
"""Points of every emotion and panel, at most: more hide each other and make the page heavy."""


def map_part(real: ImageFeatures, sets: Mapping[str, ImageFeatures], extractor: str, seed: int) -> MapPart | None:
    """Real and generated pictures on the axes of the real ones; None with fewer than three real ones.

    Args:
        real: features of all real pictures.
        sets: features of the pictures of every method.
        extractor: identity of the embedder.
        seed: of the draw of the points that are shown.
    """
    named: dict[str | None, ImageFeatures] = {None: real, **{name: found for name, found in sets.items() if len(found.emotions)}}
    rows = {name: draw_rows(found.emotions, PER_EMOTION, seed) for name, found in named.items()}
    found = map_embeddings([features.embeddings[rows[name]] for name, features in named.items()], real.embeddings)
    if found is None:
        return None
    panels = [
        MapPanel(
            name=name,
            positions=[(float(x), float(y)) for x, y in np.round(positions, 5)],
            emotions=[EMOTIONS[emotion] for emotion in features.emotions[rows[name]]],
            images=len(features.emotions),
        )
        for (name, features), positions in zip(named.items(), found.positions, strict=True)
    ]
    return MapPart(panels=panels, variance=min(found.variance, 1.0), extractor=extractor)
