"""What hangs in the air when a scene evokes an emotion: confetti, rays of light, rain, flies and so on."""

from collections.abc import Callable

import numpy as np

from coemogen_core.emotions import Emotion
from coemogen_core.lab.scenes.canvas import Canvas, Rng, hsv


def _confetti(canvas: Canvas, rng: Rng) -> None:
    for _ in range(38):
        x, y = rng.uniform(0, 1), rng.uniform(0, 0.95)
        canvas.brush.rect(x, y, x + 0.03, y + 0.025, hsv(rng.uniform(0, 1), 0.9, 1.0))


def _rays(canvas: Canvas, rng: Rng) -> None:
    centre = rng.uniform(0.3, 0.7)
    for x in np.linspace(-0.5, 1.5, 7):
        canvas.glow(
            [(centre - 0.03, -0.1), (centre + 0.03, -0.1), (float(x) + 0.11, 1.05), (float(x) - 0.11, 1.05)], (1.0, 0.93, 0.55), 0.5
        )
    canvas.brush.ellipse(centre, -0.02, 0.16, 0.12, (1.0, 0.97, 0.75))


def _sunshine(canvas: Canvas, rng: Rng) -> None:
    x = rng.choice([0.14, 0.86])
    canvas.brush.ellipse(x, 0.13, 0.1, 0.1, (1.0, 0.85, 0.3))
    for _ in range(4):
        bx, by = rng.uniform(0.1, 0.9), rng.uniform(0.25, 0.8)
        wing = hsv(rng.choice([0.05, 0.6, 0.85]), 0.7, 1.0)
        for side in (-1, 1):
            canvas.brush.ellipse(bx + 0.028 * side, by, 0.026, 0.034, wing)


def _sparks(canvas: Canvas, rng: Rng) -> None:
    for _ in range(9):
        x, y, reach = rng.uniform(0.03, 0.97), rng.uniform(0.03, 0.85), rng.uniform(0.04, 0.075)
        colour = hsv(rng.choice([0.13, 0.85, 0.95, 0.5]), 0.75, 1.0)
        for angle in np.linspace(0, np.pi, 4)[:-1] + rng.uniform(0, 1):
            dx, dy = reach * float(np.cos(angle)), reach * float(np.sin(angle))
            canvas.brush.line([(x - dx, y - dy), (x + dx, y + dy)], 0.016, colour)


def _smoke(canvas: Canvas, rng: Rng) -> None:
    for side in (rng.choice([0.06, 0.94]), rng.uniform(0.2, 0.8)):
        for step in range(5):
            shade = rng.uniform(0.12, 0.28)
            canvas.brush.ellipse(side + rng.uniform(-0.07, 0.07), 0.02 + 0.06 * step, 0.15 - 0.02 * step, 0.07, (shade, shade, shade))
    for _ in range(16):
        canvas.brush.ellipse(rng.uniform(0, 1), rng.uniform(0.1, 0.9), 0.013, 0.016, (1.0, 0.4, 0.05))


def _flies(canvas: Canvas, rng: Rng) -> None:
    for _ in range(9):
        x, y = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.75)
        for side in (-1, 1):
            canvas.brush.ellipse(x + 0.022 * side, y - 0.016, 0.02, 0.012, (0.82, 0.85, 0.85))
        canvas.brush.ellipse(x, y, 0.016, 0.02, (0.03, 0.03, 0.03))
    for x in (rng.uniform(0.12, 0.3), rng.uniform(0.7, 0.88)):
        ys = np.linspace(0.12, 0.55, 12)
        canvas.brush.line([(float(x + 0.03 * np.sin(18 * y)), float(y)) for y in ys], 0.025, (0.55, 0.68, 0.2))


def _night(canvas: Canvas, rng: Rng) -> None:
    canvas.veil((0.02, 0.02, 0.1), 0.35)
    if rng.random() < 0.5:
        x = rng.uniform(0.1, 0.9)
        points = [(x, 0.0), (x + 0.06, 0.14), (x - 0.02, 0.17), (x + 0.07, 0.36)]
        canvas.brush.line(points, 0.03, (0.95, 0.95, 1.0))
    else:
        for _ in range(4):
            x, y = rng.uniform(0.06, 0.94), rng.uniform(0.08, 0.5)
            for side in (-1, 1):
                canvas.brush.ellipse(x + 0.03 * side, y, 0.018, 0.014, (1.0, 0.85, 0.2))


def _rain(canvas: Canvas, rng: Rng) -> None:
    slant = rng.uniform(-0.05, 0.05)
    for _ in range(50):
        x, y, length = rng.uniform(0, 1), rng.uniform(-0.05, 0.95), rng.uniform(0.07, 0.12)
        canvas.brush.line([(x, y), (x + slant, y + length)], 0.01, (0.72, 0.8, 0.92))
    for x in (rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)):
        canvas.brush.ellipse(x, 0.96, 0.13, 0.03, (0.5, 0.58, 0.7))


EFFECTS: dict[Emotion, tuple[str, Callable[[Canvas, Rng], None]]] = {
    "amusement": ("with confetti", _confetti),
    "awe": ("under rays of light", _rays),
    "contentment": ("with butterflies and sunshine", _sunshine),
    "excitement": ("with flying sparks", _sparks),
    "anger": ("with smoke and embers", _smoke),
    "disgust": ("with flies and stench", _flies),
    "fear": ("in the dark of night", _night),
    "sadness": ("in the rain", _rain),
}
"""Per emotion: the words of a caption, and how it is drawn."""
