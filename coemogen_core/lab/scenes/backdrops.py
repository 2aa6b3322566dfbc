"""The places of the lab's world: each draws its backdrop and says where things stand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from coemogen_core.emotions import NEGATIVE, POSITIVE, Emotion
from coemogen_core.lab.scenes.canvas import Canvas, Colour, Rng, hsv, mix


@dataclass(frozen=True)
class Backdrop:
    """A place: the words that name it in a caption, how it is drawn, and the height at which things stand in it."""

    noun: str
    phrase: str
    draw: Callable[[Canvas, Rng, Emotion | None], None]
    ground: float


def sky_colours(rng: Rng, feeling: Emotion | None) -> tuple[Colour, Colour]:
    """Top and horizon colour of the sky: pale without a feeling, clear for the positive ones, overcast for the negative."""
    if feeling in POSITIVE:
        hue = rng.uniform(0.53, 0.6)
        return hsv(hue, 0.75, 0.95), hsv(hue, 0.3, 1.0)
    if feeling in NEGATIVE:
        hue = rng.uniform(0.58, 0.68)
        return hsv(hue, 0.35, 0.35), hsv(hue, 0.2, 0.55)
    hue = rng.uniform(0.55, 0.62)
    return hsv(hue, 0.3, 0.78), hsv(hue, 0.12, 0.86)


def _hills(canvas: Canvas, rng: Rng, y: float, height: float, colour: Colour) -> None:
    x = np.linspace(-0.1, 1.1, 14)
    phase, waves = rng.uniform(0, 6.28), rng.uniform(4, 8)
    crest = [(float(a), float(y - height * (0.5 + 0.5 * np.sin(waves * a + phase)))) for a in x]
    canvas.brush.poly([*crest, (1.1, 1.0), (-0.1, 1.0)], colour)


def _wall(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    colour = hsv(rng.uniform(0, 1), rng.uniform(0.1, 0.3), rng.uniform(0.65, 0.8))
    canvas.brush.rect(0, 0, 1, 1, colour)
    seam = mix(colour, (0, 0, 0), 0.18)
    for row in range(6):
        y = row / 6
        canvas.brush.line([(0, y), (1, y)], 0.012, seam)
        for column in range(4):
            x = (column + 0.5 * (row % 2)) / 3.5
            canvas.brush.line([(x, y), (x, y + 1 / 6)], 0.012, seam)


def _room(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    paper = hsv(rng.uniform(0.05, 0.2), rng.uniform(0.2, 0.35), 0.8)
    canvas.brush.rect(0, 0, 1, 0.72, paper)
    for column in range(5):
        canvas.brush.rect(0.1 + column * 0.2, 0, 0.14 + column * 0.2, 0.72, mix(paper, (0.5, 0.35, 0.2), 0.15))
    canvas.brush.rect(0, 0.72, 1, 1, (0.5, 0.34, 0.2))
    for row in (0.8, 0.9):
        canvas.brush.line([(0, row), (1, row)], 0.012, (0.38, 0.25, 0.14))
    left = rng.choice([0.06, 0.66])
    canvas.brush.rect(left, 0.08, left + 0.28, 0.4, (0.93, 0.93, 0.9))
    canvas.brush.rect(left + 0.03, 0.11, left + 0.25, 0.37, sky_colours(rng, feeling)[0])
    canvas.brush.line([(left + 0.14, 0.1), (left + 0.14, 0.38)], 0.018, (0.93, 0.93, 0.9))


def _table(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    canvas.gradient(hsv(rng.uniform(0.5, 0.75), 0.18, 0.62), hsv(0.6, 0.1, 0.75), 0, 1)
    cloth = hsv(rng.uniform(0, 1), 0.35, 0.82)
    canvas.brush.poly([(0.08, 0.58), (0.92, 0.58), (1.1, 1.0), (-0.1, 1.0)], cloth)
    for column in range(-3, 4):
        canvas.brush.line([(0.5 + column * 0.11, 0.58), (0.5 + column * 0.17, 1.0)], 0.012, mix(cloth, (1, 1, 1), 0.45))
    canvas.brush.rect(-0.1, 0.94, 1.1, 1.0, mix(cloth, (0, 0, 0), 0.35))


def _street(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.66)
    x = -0.05
    while x < 1.0:
        width, top = rng.uniform(0.18, 0.3), rng.uniform(0.12, 0.35)
        front = hsv(rng.uniform(0, 0.15), rng.uniform(0.2, 0.45), rng.uniform(0.5, 0.75))
        canvas.brush.rect(x, top, x + width, 0.68, front)
        for row in np.arange(top + 0.06, 0.6, 0.12):
            canvas.brush.rect(x + 0.04, row, x + 0.09, row + 0.06, (0.85, 0.85, 0.75))
            canvas.brush.rect(x + width - 0.09, row, x + width - 0.04, row + 0.06, (0.85, 0.85, 0.75))
        x += width + 0.015
    canvas.brush.rect(0, 0.66, 1, 1, (0.4, 0.4, 0.42))
    for column in range(4):
        canvas.brush.rect(column * 0.28, 0.86, column * 0.28 + 0.14, 0.89, (0.9, 0.9, 0.85))


def _park(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.6)
    for x in np.arange(-0.05, 1.1, 0.17):
        y, size = rng.uniform(0.34, 0.42), rng.uniform(0.09, 0.13)
        canvas.brush.rect(x - 0.015, y, x + 0.015, 0.6, (0.35, 0.24, 0.14))
        canvas.brush.ellipse(x, y, size, size, hsv(rng.uniform(0.26, 0.36), 0.55, rng.uniform(0.4, 0.55)))
    canvas.brush.rect(0, 0.55, 1, 1, hsv(0.3, 0.5, 0.62))
    shift = rng.uniform(-0.2, 0.2)
    canvas.brush.poly([(0.42 + shift, 0.55), (0.5 + shift, 0.55), (0.85 + shift, 1), (0.35 + shift, 1)], (0.78, 0.7, 0.55))


def _meadow(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.6)
    _hills(canvas, rng, 0.62, 0.16, hsv(rng.uniform(0.24, 0.34), 0.5, 0.6))
    canvas.brush.rect(0, 0.66, 1, 1, hsv(0.25, 0.55, 0.68))
    for _ in range(26):
        x, y = rng.uniform(0, 1), rng.uniform(0.7, 1)
        canvas.brush.line([(x, y), (x + 0.015, y - 0.05)], 0.012, hsv(0.28, 0.6, 0.45))


def _forest(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(mix(sky_colours(rng, feeling)[1], (0.3, 0.45, 0.3), 0.5), (0.35, 0.45, 0.3), 0, 0.75)
    for x in np.arange(0.0, 1.05, 0.13):
        width = rng.uniform(0.02, 0.035)
        x = x + rng.uniform(-0.04, 0.04)
        canvas.brush.rect(x - width, 0, x + width, 0.78, hsv(0.08, 0.4, rng.uniform(0.25, 0.38)))
    for x in np.arange(-0.05, 1.1, 0.16):
        canvas.brush.ellipse(x, rng.uniform(-0.02, 0.08), 0.14, 0.12, hsv(0.33, 0.5, rng.uniform(0.3, 0.45)))
    canvas.brush.rect(0, 0.76, 1, 1, (0.36, 0.33, 0.2))


def _sea(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.5)
    canvas.gradient(hsv(0.55, 0.6, 0.6), hsv(0.58, 0.7, 0.42), 0.5, 1)
    rough = 0.05 if feeling == "fear" else 0.014
    for row in np.arange(0.55, 1.0, 0.09):
        xs = np.linspace(0, 1, 24)
        phase = rng.uniform(0, 6.28)
        crest = [(float(a), float(row + rough * np.sin(22 * a + phase))) for a in xs]
        canvas.brush.line(crest, 0.016, hsv(0.54, 0.35, 0.75))


def _beach(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.4)
    canvas.brush.rect(0, 0.4, 1, 0.56, hsv(0.54, 0.55, 0.62))
    canvas.brush.rect(0, 0.56, 1, 1, (0.88, 0.79, 0.58))
    xs = np.linspace(0, 1, 20)
    canvas.brush.line([(float(a), float(0.57 + 0.02 * np.sin(14 * a + rng.uniform(0, 1)))) for a in xs], 0.03, (0.95, 0.95, 0.93))
    for _ in range(8):
        canvas.brush.ellipse(rng.uniform(0, 1), rng.uniform(0.65, 1), 0.012, 0.008, (0.7, 0.6, 0.42))


def _valley(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.7)
    for x in np.arange(-0.05, 1.15, 0.2):
        top, half = rng.uniform(0.36, 0.48), rng.uniform(0.16, 0.22)
        rock = hsv(0.64, 0.18, rng.uniform(0.48, 0.6))
        canvas.brush.poly([(x - half, 0.74), (x, top), (x + half, 0.74)], rock)
        canvas.brush.poly([(x - half * 0.25, top + 0.08), (x, top), (x + half * 0.25, top + 0.08)], (0.93, 0.94, 0.96))
    canvas.brush.rect(0, 0.72, 1, 1, hsv(0.24, 0.3, 0.5))


def _sky(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    top, bottom = sky_colours(rng, feeling)
    canvas.gradient(top, bottom, 0, 1)
    for _ in range(5):
        x, y = rng.uniform(0, 1), rng.uniform(0.05, 0.95)
        for offset in (-0.08, 0.0, 0.08):
            canvas.brush.ellipse(x + offset, y, 0.08, 0.045, mix(bottom, (1, 1, 1), 0.6))


def _city(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.85)
    for x in np.arange(-0.04, 1.0, 0.125):
        top = rng.uniform(0.32, 0.6)
        tower = hsv(0.62, 0.15, rng.uniform(0.35, 0.55))
        canvas.brush.rect(x, top, x + 0.11, 0.9, tower)
        for row in np.arange(top + 0.03, 0.84, 0.07):
            for column in (0.02, 0.065):
                if rng.random() < 0.7:
                    canvas.brush.rect(x + column, row, x + column + 0.025, row + 0.03, (0.9, 0.85, 0.6))
    canvas.brush.rect(0, 0.86, 1, 1, (0.33, 0.33, 0.36))


def _stage(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:  # noqa: ARG001
    canvas.brush.rect(0, 0, 1, 0.8, (0.3, 0.26, 0.34))
    curtain = hsv(rng.choice([0.0, 0.95, 0.75]), 0.6, 0.55)
    for side in (0.0, 0.78):
        canvas.brush.rect(side, 0, side + 0.22, 0.82, curtain)
        for fold in (0.05, 0.12, 0.19):
            canvas.brush.line([(side + fold, 0), (side + fold, 0.82)], 0.014, mix(curtain, (0, 0, 0), 0.35))
    canvas.brush.rect(0, 0, 1, 0.09, mix(curtain, (0, 0, 0), 0.2))
    canvas.brush.rect(0, 0.8, 1, 1, (0.6, 0.43, 0.26))
    canvas.brush.ellipse(0.5, 0.87, 0.32, 0.06, (0.82, 0.68, 0.46))


def _desert(canvas: Canvas, rng: Rng, feeling: Emotion | None) -> None:
    canvas.gradient(*sky_colours(rng, feeling), 0, 0.6)
    _hills(canvas, rng, 0.62, 0.12, hsv(0.09, 0.5, 0.78))
    canvas.brush.rect(0, 0.64, 1, 1, hsv(0.1, 0.5, 0.85))
    for x in (rng.uniform(0.04, 0.14), rng.uniform(0.86, 0.96)):
        green = hsv(0.32, 0.5, 0.42)
        canvas.brush.rect(x - 0.02, 0.44, x + 0.02, 0.7, green)
        canvas.brush.line([(x, 0.6), (x + 0.06, 0.58), (x + 0.06, 0.5)], 0.028, green)


BACKDROPS: dict[str, Backdrop] = {
    place.noun: place
    for place in (
        Backdrop("wall", "in front of a wall", _wall, 0.94),
        Backdrop("room", "in a room", _room, 0.9),
        Backdrop("table", "on a table", _table, 0.84),
        Backdrop("street", "on a street", _street, 0.88),
        Backdrop("park", "in a park", _park, 0.88),
        Backdrop("meadow", "in a meadow", _meadow, 0.88),
        Backdrop("forest", "in a forest", _forest, 0.9),
        Backdrop("sea", "at sea", _sea, 0.78),
        Backdrop("beach", "on a beach", _beach, 0.86),
        Backdrop("valley", "in a valley", _valley, 0.9),
        Backdrop("sky", "in the sky", _sky, 0.9),
        Backdrop("city", "in a city", _city, 0.92),
        Backdrop("stage", "on a stage", _stage, 0.9),
        Backdrop("desert", "in a desert", _desert, 0.88),
    )
}
