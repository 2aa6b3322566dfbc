"""Things of the lab's world that evoke nothing: they are always drawn neutrally. Local frame as in `living.py`."""

import numpy as np

from coemogen_core.emotions import Emotion
from coemogen_core.lab.scenes.canvas import BLACK, WHITE, Brush, Rng, hsv, mix
from coemogen_core.lab.scenes.made import STEEL


def chair(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A wooden chair."""
    wood = hsv(rng.uniform(0.04, 0.1), 0.55, rng.uniform(0.4, 0.65))
    brush.rect(-0.3, -0.98, -0.2, 0, wood)
    for y in (-0.92, -0.74):
        brush.rect(-0.3, y, 0.22, y + 0.09, wood)
    brush.rect(0.14, -0.98, 0.22, -0.4, wood)
    brush.poly([(-0.3, -0.46), (0.24, -0.46), (0.36, -0.36), (-0.3, -0.36)], mix(wood, WHITE, 0.3))
    brush.rect(0.26, -0.4, 0.35, 0, wood)


def bag(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A handbag."""
    leather = hsv(rng.uniform(0, 1), 0.5, rng.uniform(0.4, 0.65))
    brush.arc(0, -0.5, 0.2, 0.3, 180, 360, 0.055, mix(leather, BLACK, 0.35))
    brush.poly([(-0.32, -0.52), (0.32, -0.52), (0.42, 0), (-0.42, 0)], leather)
    brush.poly([(-0.32, -0.52), (0.32, -0.52), (0.2, -0.26), (-0.2, -0.26)], mix(leather, BLACK, 0.25))
    brush.rect(-0.05, -0.32, 0.05, -0.2, (0.9, 0.8, 0.4))


def cup(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A cup on a saucer."""
    glaze = hsv(rng.uniform(0, 1), 0.4, rng.uniform(0.65, 0.9))
    brush.ellipse(0, -0.03, 0.45, 0.07, mix(glaze, BLACK, 0.2))
    brush.arc(0.3, -0.34, 0.16, 0.15, -90, 90, 0.07, glaze)
    brush.poly([(-0.32, -0.6), (0.32, -0.6), (0.22, -0.05), (-0.22, -0.05)], glaze)
    brush.ellipse(0, -0.6, 0.32, 0.07, mix(glaze, WHITE, 0.4))
    brush.ellipse(0, -0.59, 0.25, 0.045, (0.35, 0.22, 0.12))


def bicycle(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A bicycle from the side."""
    paint = hsv(rng.uniform(0, 1), 0.6, 0.6)
    for x in (-0.34, 0.34):
        brush.arc(x, -0.22, 0.22, 0.22, 0, 360, 0.045, BLACK)
        for angle in (0, 45, 90, 135):
            dx, dy = 0.2 * float(np.cos(np.radians(angle))), 0.2 * float(np.sin(np.radians(angle)))
            brush.line([(x - dx, -0.22 - dy), (x + dx, -0.22 + dy)], 0.014, STEEL)
    brush.line([(-0.34, -0.22), (-0.12, -0.56), (0.24, -0.56), (0.34, -0.22)], 0.055, paint)
    brush.line([(-0.34, -0.22), (0.02, -0.22), (0.24, -0.56)], 0.05, paint)
    brush.line([(-0.12, -0.56), (0.02, -0.22)], 0.05, paint)
    brush.line([(-0.22, -0.68), (-0.04, -0.68)], 0.07, BLACK)
    brush.line([(0.24, -0.56), (0.2, -0.74), (0.36, -0.76)], 0.05, BLACK)


def lamp(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A lamp with a shade."""
    shade = hsv(rng.uniform(0, 1), 0.35, 0.85)
    brush.ellipse(0, -0.02, 0.24, 0.05, STEEL)
    brush.line([(0, -0.02), (0, -0.62)], 0.05, STEEL)
    brush.poly([(-0.2, -1.0), (0.2, -1.0), (0.38, -0.58), (-0.38, -0.58)], shade)
    brush.rect(-0.38, -0.62, 0.38, -0.57, mix(shade, BLACK, 0.3))


def clock(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A round clock."""
    rim = hsv(rng.uniform(0, 1), 0.4, 0.45)
    brush.ellipse(0, -0.5, 0.44, 0.44, rim)
    brush.ellipse(0, -0.5, 0.36, 0.36, (0.93, 0.92, 0.87))
    for angle in np.linspace(0, 2 * np.pi, 13)[:-1]:
        brush.ellipse(0.29 * float(np.cos(angle)), -0.5 + 0.29 * float(np.sin(angle)), 0.028, 0.028, BLACK)
    for length, width in ((0.26, 0.03), (0.17, 0.045)):
        angle = rng.uniform(0, 6.28)
        brush.line([(0, -0.5), (length * float(np.cos(angle)), -0.5 + length * float(np.sin(angle)))], width, BLACK)


def bridge(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """A stone bridge with arches."""
    stone = hsv(rng.uniform(0.05, 0.12), 0.2, rng.uniform(0.5, 0.65))
    brush.rect(-0.7, -0.02, 0.7, 0.1, (0.45, 0.6, 0.7))
    brush.rect(-0.7, -0.52, 0.7, 0, stone)
    for x in (-0.42, 0.0, 0.42):
        brush.ellipse(x, -0.14, 0.15, 0.22, (0.45, 0.6, 0.7))
        brush.rect(x - 0.15, -0.14, x + 0.15, 0.02, (0.45, 0.6, 0.7))
    for x in np.linspace(-0.6, 0.6, 8):
        brush.rect(float(x) - 0.03, -0.64, float(x) + 0.03, -0.5, mix(stone, BLACK, 0.2))


def book(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    """An open book."""
    cover = hsv(rng.uniform(0, 1), 0.6, 0.5)
    for side in (-1, 1):
        brush.poly([(0, -0.06), (0.5 * side, -0.16), (0.5 * side, -0.68), (0, -0.56)], cover)
        brush.poly([(0, -0.1), (0.45 * side, -0.2), (0.45 * side, -0.7), (0, -0.6)], (0.95, 0.93, 0.86))
        for row in range(4):
            y = -0.28 - 0.09 * row
            brush.line([(0.07 * side, y + 0.06), (0.38 * side, y)], 0.02, (0.5, 0.5, 0.5))
    brush.line([(0, -0.06), (0, -0.6)], 0.03, BLACK)
