"""Brightness and colourfulness of a picture: the paper's reading of polarity, measured on pixels.

Brightness is the mean Rec. 709 luma of the sRGB values, 0 (black) to 1 (white). Colourfulness is M3 of Hasler and
Suesstrunk, "Measuring colourfulness in natural images" (2003), on values 0 to 255: about 0 for grey, 33 moderately
colourful, 59 quite, 82 highly, 109 extremely.
"""

import numpy as np
from numpy.typing import NDArray

from coemogen_core.emotions import EMOTIONS, POLARITIES, polarity_of
from coemogen_core.statistics import bootstrap
from schemas.metrics import ColourMetrics

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def brightness(rgb: NDArray[np.uint8]) -> float:
    """Mean luma of a picture [h, w, 3], 0 to 1."""
    return float((rgb.reshape(-1, 3).mean(axis=0, dtype=np.float64) @ LUMA) / 255)


def colourfulness(rgb: NDArray[np.uint8]) -> float:
    """Hasler and Suesstrunk's M3 of a picture [h, w, 3]: at least 0."""
    red, green, blue = rgb.reshape(-1, 3).T.astype(np.float32)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(dtype=np.float64), yellow_blue.std(dtype=np.float64))
    level = np.hypot(red_green.mean(dtype=np.float64), yellow_blue.mean(dtype=np.float64))
    return float(spread + 0.3 * level)


def colour_metrics(
    brightness_values: NDArray[np.floating],
    colourfulness_values: NDArray[np.floating],
    emotions: NDArray[np.integer],
    counts: NDArray[np.float64] | None,
    level: float,
) -> ColourMetrics:
    """Means over images, with intervals.

    Args:
        brightness_values: of single images, [n].
        colourfulness_values: the same.
        emotions: of these images, [n].
        counts: resamples of these images, [R, n]; None = no intervals.
        level: of the intervals, e.g. 0.95.
    """
    values = {"brightness": brightness_values, "colourfulness": colourfulness_values}
    count = len(brightness_values)
    intervals = {}
    if counts is not None and count:
        sizes = np.unique(emotions, return_counts=True)[1].tolist()
        resampled = {name: bootstrap.resampled_means(numbers, counts) for name, numbers in values.items()}
        found = {name: bootstrap.percentile_interval(numbers, level, sizes) for name, numbers in resampled.items()}
        intervals = {name: interval for name, interval in found.items() if interval is not None}
    return ColourMetrics(images=count, intervals=intervals, **{name: bootstrap.mean_or_none(numbers) for name, numbers in values.items()})


def by_polarity(
    emotions: NDArray[np.integer],
    brightness_values: NDArray[np.floating],
    colourfulness_values: NDArray[np.floating],
    counts: NDArray[np.float64],
    level: float,
) -> dict[str, ColourMetrics]:
    """`colour_metrics` of the positive and of the negative emotions; an interval needs enough images of each emotion that is present."""
    polarities = np.array([POLARITIES.index(polarity_of(emotion)) for emotion in EMOTIONS])[emotions]
    result: dict[str, ColourMetrics] = {}
    for index, name in enumerate(POLARITIES):
        members = polarities == index
        own = counts[:, members] if bootstrap.too_few(emotions[members], EMOTIONS) is None else None
        result[name] = colour_metrics(brightness_values[members], colourfulness_values[members], emotions[members], own, level)
    return result
