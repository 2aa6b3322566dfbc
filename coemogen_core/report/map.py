"""The map of generated and real pictures, panel by panel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.features import ImageFeatures
from coemogen_core.report.charts import EMOTION_COLOURS, STYLE, finish, quiet
from coemogen_core.report.data import MapPanel, MapPart

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class EmbeddingMap:
    """Positions [n, 2] of every set's pictures, and the share of the fitted set's variance that the two axes show, 0 to 1."""

    positions: list[NDArray[np.float64]]
    variance: float


def map_embeddings(sets: Sequence[Floats], fitted: Floats) -> EmbeddingMap | None:
    """Project sets of embeddings [n, d] on the first two principal components of the `fitted` one; None where it has fewer than three."""
    if len(fitted) < 3 or fitted.shape[1] < 2:
        return None
    from sklearn.decomposition import PCA  # here: a second to import

    with np.errstate(invalid="ignore"):  # equal pictures have no variance to share out
        components = PCA(2, svd_solver="full").fit(fitted.astype(np.float64))
    variance = float(np.nan_to_num(components.explained_variance_ratio_).sum())
    return EmbeddingMap([components.transform(values.astype(np.float64)) if len(values) else np.empty((0, 2)) for values in sets], variance)


def draw_rows(emotions: NDArray[np.integer], per_emotion: int, seed: int) -> NDArray[np.intp]:
    """Rows of at most `per_emotion` pictures of every emotion: a seeded draw, sorted."""
    order = np.random.default_rng(seed).permutation(len(emotions))
    return np.sort(np.concatenate([order[emotions[order] == emotion][:per_emotion] for emotion in np.unique(emotions)]).astype(np.intp))


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


def map_charts(part: MapPart, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """A panel for the real pictures and for every method, all on the same axes; in the methods' panels the real emotions' middles, too."""
    real = part.panels[0]
    everything = np.array([position for panel in part.panels for position in panel.positions])
    limits = everything.min(axis=0), everything.max(axis=0)
    middles = emotion_middles(real.positions, real.emotions)
    names = ["map-of-real-images", *(f"map-of-method-{index}" for index in range(1, len(part.panels)))]
    return [
        {
            "title": "real images" if panel.name is None else labels[panel.name],
            "note": f"{len(panel.positions):,} of {panel.images:,}",
            "svg": Markup(map_chart(panel.positions, panel.emotions, middles, limits, name=name)),  # noqa: S704 our own SVG
        }
        for name, panel in zip(names, part.panels, strict=True)
    ]


EMOTION_MARKS: dict[str, str] = dict(zip(EMOTIONS, "●■▲◆▼✚✖★", strict=True))
"""Every emotion has a shape of its own besides its colour, for those who cannot tell colours apart and for grey paper."""
_MARKERS = dict(zip(EMOTIONS, ("o", "s", "^", "D", "v", "P", "X", "*"), strict=True))


def map_chart(
    positions: Sequence[tuple[float, float]],
    emotions: Sequence[str],
    middles: Mapping[str, tuple[float, float]],
    limits: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    name: str,
) -> str:
    """Pictures as points, each emotion with its colour and shape.

    Args:
        positions: of the pictures.
        emotions: theirs.
        middles: where the real pictures of each emotion have their middle, drawn as a large hollow mark.
        limits: smallest and largest x and y of all panels.
        name: as in `charts`.
    """
    points, kinds = np.array(positions).reshape(-1, 2), np.array(emotions)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.75, 3.3))
        axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
        quiet(axes)
        axes.set_xticks([])
        axes.set_yticks([])
        margin = 0.06 * (limits[1] - limits[0]).clip(1e-9)
        axes.set_xlim(limits[0][0] - margin[0], limits[1][0] + margin[0])
        axes.set_ylim(limits[0][1] - margin[1], limits[1][1] + margin[1])
        for colour, (emotion, marker) in zip(EMOTION_COLOURS, _MARKERS.items(), strict=True):
            own = points[kinds == emotion] if len(points) else points
            axes.plot(own[:, 0], own[:, 1], linestyle="", marker=marker, markersize=4.2, color=colour, markeredgewidth=0, alpha=0.75)
            if emotion in middles:
                axes.plot(
                    *middles[emotion], marker=marker, markersize=12, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.8
                )
        return finish(figure, name)


def emotion_middles(positions: Sequence[tuple[float, float]], emotions: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Mean position of the pictures of every emotion that is there."""
    points, kinds = np.array(positions).reshape(-1, 2), np.array(emotions)
    means = {emotion: points[kinds == emotion].mean(axis=0) for emotion in EMOTIONS if emotion in emotions}
    return {emotion: (float(x), float(y)) for emotion, (x, y) in means.items()}
