"""People and animals of the lab's world, plainly drawn or as a feeling shows on them.

Every function draws in a local frame: origin at the middle of the foot, y upwards negative, about one unit wide and high.
"""

import numpy as np

from coemogen_core.emotions import Emotion
from coemogen_core.lab.scenes.canvas import BLACK, WHITE, Brush, Colour, Rng, hsv, mix


def face(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A head with hair and shoulders; laughing, crying or scowling where that is the feeling."""
    skin = hsv(rng.uniform(0.05, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.6, 0.95))
    hair = hsv(rng.uniform(0.02, 0.12), rng.uniform(0.4, 0.8), rng.uniform(0.15, 0.6))
    brush.ellipse(0, 0.02, 0.42, 0.2, hsv(rng.uniform(0, 1), 0.5, 0.6))
    brush.ellipse(0, -0.56, 0.38, 0.43, hair)
    brush.ellipse(0, -0.5, 0.33, 0.38, mix(skin, (0.9, 0.2, 0.15), 0.45) if feeling == "anger" else skin)
    for side in (-1, 1):
        _eye(brush, 0.14 * side, side, feeling)
    brush.line([(0, -0.52), (0.03, -0.42), (-0.01, -0.41)], 0.025, mix(skin, BLACK, 0.35))
    _mouth(brush, feeling)


def _eye(brush: Brush, x: float, side: int, feeling: Emotion | None) -> None:
    y = -0.58
    if feeling == "amusement":
        brush.arc(x, y + 0.03, 0.085, 0.08, 190, 350, 0.035, BLACK)
        return
    brush.ellipse(x, y, 0.075, 0.05, WHITE)
    brush.ellipse(x, y, 0.035, 0.042, BLACK)
    if feeling == "anger":
        brush.line([(x + 0.1 * side, y - 0.15), (x - 0.09 * side, y - 0.05)], 0.055, BLACK)
    elif feeling == "sadness":
        brush.line([(x + 0.1 * side, y - 0.06), (x - 0.08 * side, y - 0.13)], 0.03, BLACK)
        brush.line([(x, y + 0.06), (x + 0.02 * side, y + 0.3)], 0.06, (0.35, 0.65, 1.0))
        brush.ellipse(x + 0.02 * side, y + 0.33, 0.045, 0.055, (0.35, 0.65, 1.0))
    else:
        brush.line([(x + 0.09 * side, y - 0.1), (x - 0.08 * side, y - 0.1)], 0.028, BLACK)


def _mouth(brush: Brush, feeling: Emotion | None) -> None:
    if feeling == "amusement":
        brush.poly([(-0.19, -0.38), (0.19, -0.38), (0.11, -0.22), (0, -0.18), (-0.11, -0.22)], (0.55, 0.08, 0.1))
        brush.rect(-0.16, -0.38, 0.16, -0.33, WHITE)
    elif feeling == "anger":
        brush.rect(-0.14, -0.34, 0.14, -0.24, BLACK)
        brush.rect(-0.11, -0.32, 0.11, -0.26, WHITE)
    elif feeling == "sadness":
        brush.arc(0, -0.22, 0.12, 0.09, 200, 340, 0.035, (0.4, 0.1, 0.1))
    else:
        brush.line([(-0.1, -0.28), (0.1, -0.28)], 0.03, (0.45, 0.15, 0.15))


def person(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A whole figure: standing, jumping with raised arms, shaking a fist, or sitting hunched."""
    skin, shirt, trousers = hsv(0.07, 0.45, rng.uniform(0.6, 0.9)), hsv(rng.uniform(0, 1), 0.65, 0.75), hsv(0.62, 0.4, 0.35)
    if feeling == "sadness":
        brush.line([(-0.1, -0.02), (0.22, -0.02), (0.2, -0.26), (-0.05, -0.18)], 0.11, trousers)
        brush.poly([(-0.2, 0.02), (-0.22, -0.3), (0.02, -0.46), (0.12, -0.3), (0.05, 0.02)], shirt)
        brush.ellipse(0.13, -0.42, 0.13, 0.13, skin)
        brush.line([(-0.02, -0.36), (0.2, -0.26)], 0.07, shirt)
        return
    lift = -0.14 if feeling == "excitement" else 0.0
    spread = 0.2 if feeling in ("excitement", "anger") else 0.08
    for side in (-1, 1):
        brush.line([(0.04 * side, -0.4 + lift), (spread * side, -0.02 + lift)], 0.1, trousers)
    brush.rect(-0.14, -0.74 + lift, 0.14, -0.36 + lift, shirt)
    brush.ellipse(0, -0.86 + lift, 0.12, 0.13, skin)
    if feeling == "excitement":
        for side in (-1, 1):
            brush.line([(0.12 * side, -0.7 + lift), (0.36 * side, -1.02 + lift)], 0.08, skin)
    elif feeling == "anger":
        brush.line([(0.12, -0.7), (0.34, -0.78), (0.3, -1.0)], 0.09, skin)
        brush.ellipse(0.3, -1.02, 0.09, 0.09, skin)
        brush.line([(-0.12, -0.7), (-0.32, -0.5)], 0.08, skin)
        brush.ellipse(0.02, -0.82, 0.06, 0.05, (0.6, 0.05, 0.05))
    else:
        for side in (-1, 1):
            brush.line([(0.13 * side, -0.7), (0.19 * side, -0.4)], 0.07, skin)


def dog(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A dog: standing, leaping after a ball, snarling, or lying down."""
    coat = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.75))
    dark = mix(coat, BLACK, 0.5)
    if feeling == "sadness":
        brush.ellipse(-0.1, -0.14, 0.36, 0.15, coat)
        brush.ellipse(0.32, -0.13, 0.16, 0.12, coat)
        brush.ellipse(0.24, -0.1, 0.05, 0.13, dark)
        brush.line([(-0.45, -0.06), (-0.3, -0.04)], 0.06, dark)
        brush.line([(0.34, -0.14), (0.4, -0.12)], 0.025, BLACK)
        return
    leap = -0.12 if feeling == "amusement" else 0.0
    for x in (-0.3, -0.18, 0.12, 0.24):
        brush.line([(x, -0.3 + leap), (x + (0.1 if leap and x > 0 else 0.0), leap * 0.7)], 0.075, coat)
    brush.ellipse(-0.02, -0.38 + leap, 0.36, 0.17, coat)
    tail_y = -0.72 if feeling == "amusement" else -0.5
    brush.line([(-0.34, -0.42 + leap), (-0.5, tail_y + leap)], 0.065, coat)
    brush.ellipse(0.34, -0.6 + leap, 0.17, 0.16, coat)
    brush.ellipse(0.48, -0.55 + leap, 0.1, 0.08, coat)
    brush.ellipse(0.24, -0.58 + leap, 0.06, 0.14, dark)
    brush.ellipse(0.36, -0.65 + leap, 0.03, 0.03, BLACK)
    brush.ellipse(0.57, -0.58 + leap, 0.03, 0.03, BLACK)
    if feeling == "amusement":
        brush.ellipse(0.5, -0.42 + leap, 0.035, 0.07, (0.95, 0.35, 0.4))
        brush.ellipse(-0.28, -0.88, 0.11, 0.11, hsv(rng.choice([0.0, 0.15, 0.8]), 0.9, 1.0))
    elif feeling == "anger":
        brush.poly([(0.38, -0.52), (0.62, -0.56), (0.6, -0.38), (0.42, -0.4)], (0.6, 0.05, 0.05))
        for x in (0.42, 0.49, 0.56):
            brush.poly([(x, -0.52), (x + 0.05, -0.52), (x + 0.025, -0.43)], WHITE)
        brush.line([(0.28, -0.74), (0.42, -0.68)], 0.04, BLACK)
        for x in (-0.2, -0.08, 0.04):
            brush.poly([(x - 0.05, -0.52), (x + 0.05, -0.52), (x, -0.66)], dark)


def cat(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A cat: sitting, asleep on a cushion, in a party hat, or arched and hissing."""
    coat = hsv(rng.uniform(0.04, 0.1), rng.uniform(0.1, 0.7), rng.uniform(0.35, 0.8))
    if feeling == "contentment":
        brush.ellipse(0, -0.08, 0.46, 0.13, hsv(rng.uniform(0.8, 1.0), 0.5, 0.85))
        brush.ellipse(0, -0.26, 0.36, 0.18, coat)
        _cat_head(brush.at(0.24, -0.2, 0.8), coat, "asleep")
        brush.arc(-0.02, -0.16, 0.33, 0.1, 60, 190, 0.07, mix(coat, BLACK, 0.25))
        return
    if feeling == "fear":
        dark = mix(coat, BLACK, 0.75)
        brush.arc(-0.05, -0.25, 0.28, 0.38, 180, 360, 0.2, dark)
        for x in (-0.33, -0.2, 0.12, 0.24):
            brush.line([(x, -0.3), (x, 0)], 0.07, dark)
        for x in (-0.25, -0.12, 0.0, 0.12):
            brush.poly([(x - 0.05, -0.66), (x + 0.05, -0.66), (x, -0.82)], dark)
        brush.line([(-0.32, -0.35), (-0.46, -0.9)], 0.1, dark)
        _cat_head(brush.at(0.36, -0.34, 0.85), dark, "hissing")
        return
    brush.ellipse(0, -0.24, 0.24, 0.26, coat)
    brush.line([(0.18, -0.06), (0.42, -0.1), (0.42, -0.32)], 0.07, coat)
    for x in (-0.09, 0.09):
        brush.line([(x, -0.25), (x, 0)], 0.08, mix(coat, WHITE, 0.25))
    _cat_head(brush.at(0, -0.5, 1.0), coat, "awake")
    if feeling == "amusement":
        hat = hsv(rng.choice([0.0, 0.13, 0.55, 0.85]), 0.85, 0.95)
        brush.poly([(-0.17, -0.76), (0.17, -0.76), (0.0, -1.12)], hat)
        brush.ellipse(0, -1.12, 0.06, 0.06, (1.0, 0.9, 0.2))
        brush.arc(0, -0.46, 0.1, 0.06, 20, 160, 0.03, BLACK)


def _cat_head(brush: Brush, coat: Colour, state: str) -> None:
    for side in (-1, 1):
        brush.poly([(0.2 * side, -0.1), (0.17 * side, -0.36), (0.04 * side, -0.22)], coat)
    brush.ellipse(0, -0.1, 0.21, 0.18, coat)
    for side in (-1, 1):
        x = 0.09 * side
        if state == "asleep":
            brush.arc(x, -0.13, 0.05, 0.04, 10, 170, 0.03, BLACK)
        elif state == "hissing":
            brush.ellipse(x, -0.13, 0.065, 0.055, (1.0, 0.95, 0.1))
            brush.ellipse(x, -0.13, 0.018, 0.05, BLACK)
        else:
            brush.ellipse(x, -0.13, 0.035, 0.045, (0.3, 0.6, 0.25))
    if state == "hissing":
        brush.poly([(-0.08, -0.04), (0.08, -0.04), (0, 0.08)], (0.75, 0.1, 0.15))
    else:
        brush.poly([(-0.03, -0.06), (0.03, -0.06), (0, -0.02)], (0.85, 0.45, 0.45))


def spider(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A spider: on its thread, huge in a web, or dripping with slime."""
    body = hsv(rng.uniform(0.0, 0.1), 0.4, rng.uniform(0.2, 0.35))
    if feeling == "fear":
        for angle in np.linspace(0, np.pi, 7):
            tip = (0.55 * float(np.cos(angle)), -0.5 - 0.55 * float(np.sin(angle)))
            brush.line([(0, -0.5), tip], 0.015, WHITE)
            brush.line([(0, -0.5), (tip[0], -1.0 - tip[1])], 0.015, WHITE)
        for radius in (0.25, 0.4, 0.53):
            brush.arc(0, -0.5, radius, radius, 0, 360, 0.014, WHITE)
    size = 1.25 if feeling == "fear" else 1.0
    centre = brush.at(0, -0.42, size)
    for side in (-1, 1):
        for reach, knee in ((-0.34, -0.3), (-0.14, -0.2), (0.1, -0.05), (0.3, 0.08)):
            centre.line([(0.06 * side, 0), (0.26 * side, knee), (0.42 * side, reach + 0.14)], 0.045, body)
    centre.ellipse(0, 0.1, 0.19, 0.21, body)
    centre.ellipse(0, -0.14, 0.12, 0.11, mix(body, BLACK, 0.3))
    if feeling == "fear":
        for side in (-1, 1):
            centre.ellipse(0.05 * side, -0.18, 0.04, 0.04, (1.0, 0.1, 0.05))
    elif feeling == "disgust":
        slime = (0.55, 0.75, 0.1)
        for x in (-0.14, -0.02, 0.11):
            drop = rng.uniform(0.22, 0.42)
            centre.line([(x, 0.12), (x, 0.12 + drop)], 0.055, slime)
            centre.ellipse(x, 0.14 + drop, 0.05, 0.06, slime)
        centre.ellipse(0, 0.06, 0.1, 0.08, slime)
    else:
        brush.line([(0, -1.1), (0, -0.6)], 0.015, (0.9, 0.9, 0.9))


def fish(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A fish on its side: whole, or rotten to the bones."""
    scale = hsv(rng.uniform(0.5, 0.62), rng.uniform(0.2, 0.5), rng.uniform(0.55, 0.8))
    centre = brush.at(0, -0.26)
    centre.poly([(-0.28, 0), (-0.52, -0.2), (-0.46, 0), (-0.52, 0.2)], mix(scale, BLACK, 0.2))
    if feeling == "disgust":
        scale = (0.5, 0.52, 0.3)
        centre.line([(-0.32, 0), (0.2, 0)], 0.05, (0.9, 0.88, 0.75))
        for x in (-0.24, -0.14, -0.04, 0.06):
            centre.line([(x, -0.17), (x, 0.17)], 0.045, (0.9, 0.88, 0.75))
        centre.poly([(0.12, -0.22), (0.46, -0.02), (0.12, 0.22)], scale)
        for dx, dy in ((-0.03, -0.03), (0.03, 0.03)):
            centre.line([(0.24 + dx, -0.06 + dy), (0.24 - dx, -0.06 - dy)], 0.03, BLACK)
            centre.line([(0.24 + dx, -0.06 - dy), (0.24 - dx, -0.06 + dy)], 0.03, BLACK)
        return
    centre.ellipse(0.05, 0, 0.4, 0.22, scale)
    centre.poly([(-0.05, -0.18), (0.15, -0.18), (0.0, -0.36)], mix(scale, BLACK, 0.25))
    centre.ellipse(0.3, -0.05, 0.05, 0.05, WHITE)
    centre.ellipse(0.3, -0.05, 0.025, 0.025, BLACK)
    centre.arc(0.14, 0, 0.06, 0.18, -80, 80, 0.025, mix(scale, BLACK, 0.35))


def rat(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A rat: sitting, or filthy with matted fur and sores."""
    fur = hsv(0.08, 0.12, rng.uniform(0.38, 0.6))
    pink = (0.85, 0.55, 0.55)
    brush.line([(-0.3, -0.1), (-0.48, -0.04), (-0.55, -0.24), (-0.46, -0.42)], 0.045, pink)
    brush.ellipse(-0.06, -0.22, 0.34, 0.22, fur)
    brush.poly([(0.12, -0.36), (0.54, -0.14), (0.16, -0.04)], fur)
    brush.ellipse(0.14, -0.4, 0.1, 0.1, pink)
    brush.ellipse(0.3, -0.24, 0.03, 0.03, BLACK)
    brush.ellipse(0.54, -0.14, 0.035, 0.035, pink)
    for x in (-0.2, 0.1):
        brush.ellipse(x, -0.01, 0.09, 0.035, pink)
    if feeling == "disgust":
        for _ in range(5):
            brush.ellipse(rng.uniform(-0.3, 0.12), rng.uniform(-0.36, -0.1), 0.055, 0.045, rng.choice([(0.5, 0.6, 0.1), (0.55, 0.12, 0.1)]))
        brush.line([(0.46, -0.1), (0.46, 0.05)], 0.05, (0.55, 0.75, 0.1))
        for x in (-0.25, -0.1, 0.05):
            brush.line([(x, -0.4), (x - 0.05, -0.52)], 0.03, mix(fur, BLACK, 0.5))


def snake(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A snake: coiled, or rearing with open fangs."""
    skin = hsv(rng.uniform(0.2, 0.4), rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6))
    stripe = mix(skin, BLACK, 0.5)
    for level, radius in enumerate((0.42, 0.34, 0.25)):
        y = -0.09 - 0.14 * level
        brush.ellipse(0, y, radius, 0.12, skin)
        for x in np.linspace(-radius * 0.8, radius * 0.8, 4):
            brush.ellipse(float(x), y + 0.02, 0.03, 0.06, stripe)
    if feeling == "fear":
        brush.line([(0.05, -0.4), (0.14, -0.7), (0.02, -0.9)], 0.15, skin)
        brush.poly([(0.06, -1.08), (-0.42, -1.0), (-0.02, -0.9)], skin)
        brush.poly([(0.06, -0.92), (-0.34, -0.68), (0.0, -0.78)], skin)
        brush.poly([(-0.04, -0.97), (-0.34, -0.94), (-0.26, -0.76), (-0.02, -0.84)], (0.75, 0.08, 0.12))
        for x in (-0.3, -0.2):
            brush.poly([(x - 0.03, -0.97), (x + 0.03, -0.97), (x, -0.82)], WHITE)
        brush.ellipse(-0.08, -1.02, 0.04, 0.03, (1.0, 0.9, 0.1))
        return
    brush.line([(0.02, -0.42), (0.12, -0.56)], 0.13, skin)
    brush.ellipse(0.2, -0.6, 0.15, 0.09, skin)
    brush.ellipse(0.24, -0.63, 0.025, 0.025, BLACK)
    brush.line([(0.34, -0.59), (0.44, -0.57)], 0.02, (0.8, 0.2, 0.2))


def eagle(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """An eagle with spread wings: grey, or golden and haloed by the sun."""
    grand = feeling == "awe"
    plume = (0.95, 0.68, 0.15) if grand else hsv(0.08, 0.3, rng.uniform(0.35, 0.5))
    centre = brush.at(0, -0.5, 1.15 if grand else 1.0)
    if grand:
        centre.ellipse(0, -0.05, 0.44, 0.44, (1.0, 0.95, 0.6))
        centre.ellipse(0, -0.05, 0.36, 0.36, (1.0, 1.0, 0.88))
    tip = rng.uniform(-0.34, -0.22)
    for side in (-1, 1):
        centre.poly(
            [(0, 0.08), (0.24 * side, -0.16), (0.58 * side, tip), (0.52 * side, tip + 0.16), (0.42 * side, 0.04), (0.2 * side, 0.14)], plume
        )
        for x in (0.3, 0.42):
            centre.line([(x * side, -0.12), (x * side * 0.85, 0.08)], 0.025, mix(plume, BLACK, 0.4))
    centre.ellipse(0, 0.06, 0.1, 0.2, mix(plume, BLACK, 0.25))
    centre.poly([(-0.1, 0.38), (0.1, 0.38), (0, 0.16)], mix(plume, BLACK, 0.3))
    centre.ellipse(0, -0.16, 0.085, 0.085, WHITE)
    centre.poly([(-0.03, -0.16), (0.03, -0.16), (0, -0.06)], (1.0, 0.75, 0.1))
