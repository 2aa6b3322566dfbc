"""The panels of the map as inline SVG."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.report.charts import EMOTION_COLOURS, STYLE, finish, quiet

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
        name: prefix of the ids inside the SVG; unique in the page. Also read aloud.
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
