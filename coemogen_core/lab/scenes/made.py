"""Things people made: vehicles, buildings, playthings. Local frame as in `living.py`."""

import numpy as np

from coemogen_core.emotions import Emotion
from coemogen_core.lab.scenes.canvas import BLACK, WHITE, Brush, Colour, Rng, hsv, mix
from coemogen_core.lab.scenes.nature import flames

WOOD: Colour = (0.55, 0.36, 0.2)
STEEL: Colour = (0.6, 0.62, 0.66)


def boat(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A boat: plain, under a full bright sail, or breaking up in high waves."""
    hull = hsv(rng.uniform(0, 0.1), 0.6, rng.uniform(0.45, 0.65))
    if feeling == "fear":
        brush.poly([(-0.44, -0.42), (0.36, -0.02), (0.2, 0.12), (-0.4, -0.16)], hull)
        brush.line([(-0.04, -0.24), (0.22, -0.78)], 0.05, WOOD)
        brush.poly([(0.2, -0.74), (0.44, -0.4), (0.3, -0.44), (0.24, -0.3)], (0.7, 0.7, 0.68))
        for x in (-0.5, -0.18, 0.16, 0.46):
            brush.poly([(x - 0.2, 0.2), (x + 0.16, 0.2), (x + 0.16, -0.16), (x + 0.04, -0.32), (x - 0.05, -0.1)], (0.15, 0.28, 0.38))
            brush.arc(x + 0.08, -0.18, 0.1, 0.12, 180, 330, 0.045, WHITE)
        return
    brush.poly([(-0.46, -0.22), (0.46, -0.22), (0.3, 0), (-0.3, 0)], hull)
    brush.line([(0, -0.2), (0, -0.95)], 0.04, WOOD)
    sail = hsv(rng.uniform(0, 1), 0.7, 0.98) if feeling == "contentment" else (0.85, 0.84, 0.8)
    brush.poly([(0.04, -0.92), (0.42, -0.3), (0.04, -0.3)], sail)
    brush.poly([(-0.04, -0.82), (-0.3, -0.3), (-0.04, -0.3)], mix(sail, WHITE, 0.45))
    brush.arc(0, 0.08, 0.5, 0.04, 180, 360, 0.035, WHITE)


def house(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A house: plain, with a garden, haunted, or in ruins."""
    front, roof = hsv(rng.uniform(0.05, 0.15), rng.uniform(0.15, 0.4), 0.82), hsv(rng.uniform(0, 0.06), 0.6, 0.55)
    if feeling == "fear":
        front, roof = (0.22, 0.2, 0.26), BLACK
    elif feeling == "sadness":
        front, roof = (0.55, 0.52, 0.5), (0.3, 0.26, 0.26)
    brush.rect(-0.36, -0.55, 0.36, 0, front)
    if feeling == "sadness":
        brush.poly([(-0.44, -0.53), (-0.18, -0.78), (-0.1, -0.6), (0.02, -0.7), (0.1, -0.53)], roof)
        brush.poly([(0.36, -0.56), (0.36, -0.2), (0.22, -0.36), (0.14, -0.56)], (0.38, 0.42, 0.46))
        brush.line([(-0.1, -0.5), (-0.16, -0.3), (-0.06, -0.2), (-0.12, 0)], 0.03, BLACK)
    else:
        peak = -1.08 if feeling == "fear" else -0.92
        brush.poly([(-0.46, -0.53), (0, peak), (0.46, -0.53)], roof)
    pane = {"contentment": (1.0, 0.9, 0.45), "fear": (1.0, 0.75, 0.05), "sadness": BLACK}.get(feeling or "", (0.6, 0.72, 0.8))
    for x in (-0.22, 0.22):
        brush.rect(x - 0.08, -0.44, x + 0.08, -0.26, pane)
        brush.line([(x, -0.44), (x, -0.26)], 0.02, BLACK)
    brush.rect(-0.08, -0.3, 0.08, 0, mix(roof, BLACK, 0.3))
    if feeling == "contentment":
        brush.rect(0.18, -0.95, 0.28, -0.7, roof)
        for x in np.linspace(-0.48, 0.48, 8):
            if abs(x) > 0.1:
                brush.ellipse(float(x), -0.04, 0.06, 0.06, hsv(rng.choice([0.0, 0.13, 0.85]), 0.8, 1.0))
    elif feeling == "fear":
        for x, y in ((-0.5, -0.95), (0.45, -1.02)):
            brush.poly(
                [(x - 0.14, y - 0.06), (x, y), (x + 0.14, y - 0.06), (x + 0.05, y + 0.05), (x, y + 0.02), (x - 0.05, y + 0.05)], BLACK
            )


def car(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A car: parked, racing, or burning."""
    paint = hsv(rng.uniform(0, 1), 0.55, 0.7)
    if feeling == "anger":
        paint = (0.2, 0.17, 0.16)
    if feeling == "excitement":
        paint = hsv(rng.choice([0.0, 0.12, 0.58]), 0.95, 1.0)
        for y in (-0.42, -0.28, -0.14):
            brush.line([(-0.95, y), (-0.5, y)], 0.035, WHITE)
        brush.poly([(-0.5, -0.1), (-0.46, -0.28), (-0.1, -0.34), (0.02, -0.44), (0.18, -0.34), (0.56, -0.16), (0.56, -0.08)], paint)
        brush.rect(-0.52, -0.5, -0.34, -0.44, paint)
        brush.ellipse(0.04, -0.36, 0.08, 0.06, BLACK)
        brush.ellipse(-0.2, -0.2, 0.1, 0.09, WHITE)
    else:
        brush.poly([(-0.3, -0.34), (-0.18, -0.56), (0.18, -0.56), (0.3, -0.34)], paint)
        brush.poly([(-0.22, -0.36), (-0.14, -0.51), (0.14, -0.51), (0.22, -0.36)], BLACK if feeling == "anger" else (0.7, 0.82, 0.88))
        brush.rect(-0.52, -0.36, 0.52, -0.1, paint)
        brush.ellipse(0.48, -0.26, 0.04, 0.04, (0.95, 0.9, 0.6))
    for x in (-0.3, 0.3):
        brush.ellipse(x, -0.09, 0.12, 0.12, BLACK)
        brush.ellipse(x, -0.09, 0.05, 0.05, STEEL)
    if feeling == "anger":
        flames(brush, rng, -0.36, 0.36, -0.34, 0.55)


def balloon(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """One balloon: plain, with a grinning face, or a great striped one with a basket and a burning flame."""
    colour = hsv(rng.uniform(0, 1), 0.75, 0.85)
    if feeling == "excitement":
        stripes = hsv(rng.uniform(0, 1), 0.9, 1.0)
        brush.ellipse(0, -0.68, 0.4, 0.42, colour)
        for half in (0.26, 0.1):
            brush.ellipse(0, -0.68, half, 0.42, stripes if half == 0.26 else (1.0, 0.92, 0.3))
        for side in (-1, 1):
            brush.line([(0.24 * side, -0.36), (0.1 * side, -0.12)], 0.025, BLACK)
        brush.poly([(-0.06, -0.2), (0.06, -0.2), (0, -0.36)], (1.0, 0.6, 0.05))
        brush.rect(-0.13, -0.14, 0.13, 0.04, WOOD)
        return
    brush.line([(0, -0.36), (0.04, -0.18), (-0.03, 0)], 0.025, (0.3, 0.3, 0.3))
    brush.ellipse(0, -0.68, 0.28, 0.33, colour)
    brush.poly([(-0.05, -0.32), (0.05, -0.32), (0, -0.38)], colour)
    if feeling == "amusement":
        for x in (-0.1, 0.1):
            brush.ellipse(x, -0.78, 0.05, 0.07, BLACK)
        brush.poly([(-0.17, -0.64), (0.17, -0.64), (0.08, -0.49), (-0.08, -0.49)], (0.6, 0.05, 0.1))
        brush.rect(-0.13, -0.64, 0.13, -0.59, WHITE)
    else:
        brush.ellipse(-0.1, -0.8, 0.05, 0.07, mix(colour, WHITE, 0.6))


def garbage_bin(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A dustbin: closed, or overflowing with slime and rubbish."""
    metal = hsv(rng.uniform(0.3, 0.6), 0.15, rng.uniform(0.45, 0.6))
    if feeling == "disgust":
        for _ in range(9):
            colour = rng.choice([(0.45, 0.35, 0.15), (0.3, 0.4, 0.15), (0.75, 0.72, 0.6), (0.5, 0.15, 0.1)])
            brush.ellipse(rng.uniform(-0.3, 0.3), rng.uniform(-0.9, -0.62), 0.13, 0.1, colour)
        brush.line([(-0.34, -0.95), (-0.12, -0.72)], 0.04, (0.9, 0.88, 0.78))
    brush.poly([(-0.34, -0.66), (0.34, -0.66), (0.26, 0), (-0.26, 0)], metal)
    for x in (-0.17, 0.0, 0.17):
        brush.line([(x, -0.62), (x * 0.8, -0.04)], 0.03, mix(metal, BLACK, 0.4))
    if feeling == "disgust":
        for x in (-0.22, 0.04, 0.2):
            brush.line([(x, -0.68), (x, -0.68 + rng.uniform(0.25, 0.5))], 0.08, (0.5, 0.68, 0.12))
        brush.ellipse(0.08, 0.01, 0.42, 0.06, (0.42, 0.52, 0.12))
    else:
        brush.ellipse(0, -0.68, 0.37, 0.08, mix(metal, WHITE, 0.2))
        brush.rect(-0.06, -0.8, 0.06, -0.74, mix(metal, BLACK, 0.3))


def castle(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A castle: grey, or high and shining with golden roofs and flags."""
    stone = hsv(rng.uniform(0.08, 0.14), 0.15, 0.65)
    grand = feeling == "awe"
    if grand:
        stone = (0.98, 0.93, 0.8)
    brush.rect(-0.44, -0.45, 0.44, 0, stone)
    for x, top in ((-0.4, -0.72), (0.4, -0.72), (0.0, -0.88)):
        brush.rect(x - 0.12, top, x + 0.12, 0, mix(stone, BLACK, 0.08))
        if grand:
            brush.poly([(x - 0.15, top), (x, top - 0.28), (x + 0.15, top)], (0.95, 0.65, 0.1))
            brush.poly([(x, top - 0.4), (x + 0.14, top - 0.34), (x, top - 0.28)], (0.9, 0.15, 0.2))
        else:
            for dx in (-0.09, 0.0, 0.09):
                brush.rect(x + dx - 0.03, top - 0.07, x + dx + 0.03, top, mix(stone, BLACK, 0.08))
        brush.rect(x - 0.03, top + 0.1, x + 0.03, top + 0.22, (0.2, 0.2, 0.3))
    brush.ellipse(0, -0.14, 0.1, 0.12, (0.25, 0.18, 0.14))
    brush.rect(-0.1, -0.14, 0.1, 0, (0.25, 0.18, 0.14))


def tower(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A skyscraper: plain, under fireworks, or on fire."""
    glass = hsv(rng.uniform(0.52, 0.62), 0.3, rng.uniform(0.55, 0.75))
    if feeling == "excitement":
        for x, y in ((-0.4, -0.85), (0.42, -0.95), (-0.44, -0.4), (0.45, -0.5)):
            colour = hsv(rng.uniform(0, 1), 0.9, 1.0)
            for angle in np.linspace(0, 2 * np.pi, 9)[:-1]:
                brush.line([(x, y), (x + 0.2 * float(np.cos(angle)), y + 0.2 * float(np.sin(angle)))], 0.035, colour)
    burning = feeling == "anger"
    brush.rect(-0.2, -1.0, 0.2, 0, mix(glass, BLACK, 0.6) if burning else glass)
    brush.poly([(-0.2, -1.0), (0.2, -1.0), (0.0, -1.14)], mix(glass, BLACK, 0.3))
    for row in np.arange(-0.94, -0.08, 0.13):
        for x in (-0.13, -0.02, 0.09):
            brush.rect(x, row, x + 0.06, row + 0.07, (1.0, 0.5, 0.1) if burning else (0.92, 0.93, 0.85))
    if burning:
        flames(brush, rng, -0.2, 0.2, -0.86, 0.4)
        flames(brush, rng, 0.12, 0.34, -0.34, 0.34)
        for x, y in ((-0.2, -1.2), (0.05, -1.3), (-0.36, -1.28)):
            brush.ellipse(x, y, 0.16, 0.1, (0.2, 0.18, 0.18))


def rollercoaster(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A roller coaster: the bare track, or a full train racing down it."""
    xs = np.linspace(-0.6, 0.6, 30)
    phase = rng.uniform(-0.3, 0.3)
    rail = [(float(x), float(-0.5 - 0.36 * np.cos(7.5 * x + phase))) for x in xs]
    track = hsv(rng.choice([0.0, 0.58, 0.13]), 0.6, 0.75)
    for x, y in rail[::3]:
        brush.line([(x, y), (x, 0)], 0.025, STEEL)
    for x0, x1 in ((-0.55, -0.2), (-0.2, 0.15), (0.15, 0.5)):
        brush.line([(x0, -0.05), (x1, -0.3)], 0.02, STEEL)
    brush.line(rail, 0.06, track)
    if feeling == "excitement":
        for index in (9, 12, 15):
            x, y = rail[index]
            brush.ellipse(x, y - 0.08, 0.1, 0.075, hsv(rng.uniform(0, 1), 0.95, 1.0))
            brush.ellipse(x, y - 0.19, 0.045, 0.05, (0.9, 0.7, 0.55))
            for side in (-1, 1):
                brush.line([(x + 0.03 * side, y - 0.16), (x + 0.1 * side, y - 0.32)], 0.03, (0.9, 0.7, 0.55))


def rocket(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A rocket: standing, or lifting off on a column of fire."""
    lift = -0.3 if feeling == "excitement" else -0.04
    body, fin = (0.88, 0.88, 0.9), hsv(rng.choice([0.0, 0.6, 0.1]), 0.75, 0.8)
    if feeling == "excitement":
        flames(brush, rng, -0.1, 0.1, -0.02, -0.0)
        for share, colour in ((1.0, (1.0, 0.45, 0.05)), (0.6, (1.0, 0.85, 0.2)), (0.3, WHITE)):
            brush.poly([(-0.14 * share, lift), (0.14 * share, lift), (rng.uniform(-0.04, 0.04), lift + 0.5 * share)], colour)
        for x in (-0.34, -0.14, 0.12, 0.34):
            brush.ellipse(x, 0.1, 0.17, 0.1, (0.93, 0.9, 0.86))
    for side in (-1, 1):
        brush.poly([(0.13 * side, lift - 0.25), (0.3 * side, lift + 0.03), (0.13 * side, lift)], fin)
    brush.rect(-0.14, lift - 0.58, 0.14, lift, body)
    brush.poly([(-0.14, lift - 0.57), (0, lift - 0.85), (0.14, lift - 0.57)], fin)
    brush.ellipse(0, lift - 0.42, 0.07, 0.07, (0.3, 0.5, 0.7))


def guitar(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A guitar: resting, or electric with lightning bolts around it."""
    body = hsv(rng.uniform(0.03, 0.1), 0.65, 0.62)
    if feeling == "excitement":
        body = hsv(rng.choice([0.0, 0.85, 0.55]), 0.95, 0.95)
        for side in (-1, 1):
            for y in (-0.9, -0.45):
                x = 0.42 * side
                brush.poly(
                    [
                        (x, y - 0.14),
                        (x + 0.1, y - 0.14),
                        (x + 0.04, y - 0.02),
                        (x + 0.12, y - 0.02),
                        (x - 0.04, y + 0.2),
                        (x, y + 0.04),
                        (x - 0.07, y + 0.04),
                    ],
                    (1.0, 0.95, 0.2),
                )
    brush.line([(0, -0.4), (0, -1.05)], 0.075, (0.35, 0.24, 0.15))
    brush.rect(-0.07, -1.12, 0.07, -0.98, BLACK)
    brush.ellipse(0, -0.22, 0.28, 0.23, body)
    brush.ellipse(0, -0.48, 0.2, 0.17, body)
    brush.ellipse(0, -0.34, 0.085, 0.085, BLACK)
    brush.rect(-0.1, -0.16, 0.1, -0.12, BLACK)


def grave(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A gravestone: plain, or fresh with a cross, wilted wreath and dropped petals."""
    stone = hsv(0.6, 0.06, rng.uniform(0.5, 0.68))
    brush.rect(-0.28, -0.55, 0.28, 0, stone)
    brush.ellipse(0, -0.55, 0.28, 0.26, stone)
    if feeling == "sadness":
        brush.rect(-0.045, -0.74, 0.045, -0.26, BLACK)
        brush.rect(-0.15, -0.6, 0.15, -0.51, BLACK)
        brush.ellipse(0, 0.0, 0.48, 0.1, (0.3, 0.22, 0.15))
        for x in np.linspace(-0.3, 0.3, 6):
            brush.ellipse(float(x), -0.04, 0.055, 0.05, rng.choice([(0.5, 0.2, 0.3), (0.75, 0.72, 0.6)]))
    else:
        for y in (-0.56, -0.44, -0.32):
            brush.line([(-0.15, y), (0.15, y)], 0.03, mix(stone, BLACK, 0.4))


def swing(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A swing: hanging still, with a child flying high, or broken on one chain."""
    frame = hsv(rng.choice([0.0, 0.58, 0.33]), 0.55, 0.6)
    for side in (-1, 1):
        brush.line([(0.3 * side, -0.95), (0.5 * side, 0)], 0.065, frame)
        brush.line([(0.3 * side, -0.95), (0.24 * side, 0)], 0.05, frame)
    brush.line([(-0.36, -0.95), (0.36, -0.95)], 0.065, frame)
    if feeling == "amusement":
        for x in (-0.06, 0.1):
            brush.line([(x, -0.95), (x + 0.26, -0.5)], 0.025, BLACK)
        brush.line([(0.14, -0.46), (0.44, -0.56)], 0.06, WOOD)
        brush.line([(0.26, -0.52), (0.2, -0.74)], 0.14, hsv(rng.uniform(0, 1), 0.85, 0.95))
        brush.ellipse(0.18, -0.86, 0.1, 0.1, (0.93, 0.75, 0.6))
        brush.line([(0.28, -0.52), (0.58, -0.66)], 0.07, (0.25, 0.3, 0.6))
    elif feeling == "sadness":
        brush.line([(-0.12, -0.95), (-0.12, -0.12)], 0.03, BLACK)
        brush.line([(-0.16, -0.14), (0.12, 0.0)], 0.06, WOOD)
        brush.line([(0.12, -0.95), (0.14, -0.7)], 0.03, BLACK)
    else:
        for x in (-0.12, 0.12):
            brush.line([(x, -0.95), (x, -0.3)], 0.025, BLACK)
        brush.rect(-0.17, -0.32, 0.17, -0.25, WOOD)
