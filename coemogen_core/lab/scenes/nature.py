"""Plants, food and landforms of the lab's world. Local frame as in `living.py`."""

import numpy as np

from coemogen_core.emotions import Emotion
from coemogen_core.lab.scenes.canvas import BLACK, WHITE, Brush, Colour, Rng, hsv, mix

BARK: Colour = (0.36, 0.25, 0.15)


def flames(brush: Brush, rng: Rng, x0: float, x1: float, y: float, height: float) -> None:
    """A row of flames between x0 and x1, standing at y."""
    for share, colour in ((1.0, (0.9, 0.2, 0.05)), (0.6, (1.0, 0.6, 0.1)), (0.3, (1.0, 0.92, 0.4))):
        for x in np.linspace(x0, x1, 4):
            half, tip = (x1 - x0) / 5, height * share * rng.uniform(0.75, 1.15)
            brush.poly([(x - half * share, y), (x + half * share, y), (x + rng.uniform(-0.05, 0.05), y - tip)], colour)


def tree(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A tree: plain, in sunlit leaf and blossom, towering with a golden crown, or bare and twisted with watching eyes."""
    if feeling == "fear":
        brush.line([(0, 0), (-0.04, -0.4), (0.05, -0.75)], 0.18, BLACK)
        for side, y, reach in ((-1, -0.42, 0.42), (1, -0.5, 0.46), (-1, -0.7, 0.36), (1, -0.78, 0.34)):
            brush.line([(0, y), (reach * 0.6 * side, y - 0.12), (reach * side, y - 0.05), (reach * 1.15 * side, y - 0.3)], 0.06, BLACK)
        for x in (-0.09, 0.08):
            brush.ellipse(x, -0.4, 0.055, 0.04, (1.0, 0.85, 0.1))
            brush.ellipse(x, -0.4, 0.018, 0.035, (0.8, 0.0, 0.0))
        return
    tall = feeling == "awe"
    brush.poly([(-0.12 if tall else -0.07, 0), (0.12 if tall else 0.07, 0), (0.05, -0.6), (-0.05, -0.6)], BARK)
    hue = rng.uniform(0.11, 0.14) if tall else rng.uniform(0.24, 0.36)
    crown = hsv(hue, 0.85 if tall else 0.6, 1.0 if tall else rng.uniform(0.4, 0.6))
    top = -1.05 if tall else -0.85
    for x, y, r in ((-0.22, -0.55, 0.21), (0.22, -0.55, 0.21), (-0.12, top + 0.12, 0.22), (0.13, top + 0.12, 0.22), (0, -0.62, 0.25)):
        brush.ellipse(x, y, r, r, mix(crown, BLACK, rng.uniform(0, 0.15)))
    if feeling == "contentment":
        for _ in range(9):
            brush.ellipse(rng.uniform(-0.33, 0.33), rng.uniform(-0.95, -0.45), 0.045, 0.045, (1.0, 0.75, 0.85))


def flower(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """One flower: in bud, in full bloom, or wilted with fallen petals."""
    hue = rng.choice([0.0, 0.12, 0.78, 0.9])
    green = (0.25, 0.5, 0.2)
    if feeling == "sadness":
        stem = (0.4, 0.38, 0.18)
        brush.line([(0, 0), (-0.03, -0.5), (0.1, -0.68), (0.28, -0.6), (0.32, -0.42)], 0.06, stem)
        petal = hsv(hue, 0.35, 0.45)
        for dx in (-0.08, 0.0, 0.08):
            brush.ellipse(0.33 + dx, -0.32, 0.055, 0.13, petal)
        for x in (-0.3, -0.12, 0.2):
            brush.ellipse(x + rng.uniform(-0.05, 0.05), -0.02, 0.09, 0.04, petal)
        return
    brush.line([(0, 0), (0, -0.6)], 0.06, green)
    for side in (-1, 1):
        brush.poly([(0, -0.12), (0.26 * side, -0.38), (0.06 * side, -0.32)], green)
    open_bloom = feeling == "contentment"
    radius = 0.24 if open_bloom else 0.15
    petal = hsv(hue, 0.8, 0.95 if open_bloom else 0.8)
    for angle in np.linspace(0, 2 * np.pi, 7)[:-1]:
        brush.ellipse(radius * float(np.cos(angle)), -0.75 + radius * float(np.sin(angle)), radius * 0.62, radius * 0.62, petal)
    brush.ellipse(0, -0.75, radius * 0.6, radius * 0.6, (1.0, 0.85, 0.2))


def fruit(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A bowl of fruit: plain, fresh with leaves and shine, or rotten with spots and flies."""
    rotten = feeling == "disgust"
    for x, y in ((-0.24, -0.36), (0.0, -0.4), (0.24, -0.36), (-0.12, -0.56), (0.13, -0.56)):
        colour = hsv(rng.choice([0.0, 0.08, 0.14, 0.27]), 0.8, 0.9)
        radius = 0.15
        brush.ellipse(x, y, radius, radius * (0.8 if rotten else 1.0), mix(colour, (0.28, 0.22, 0.1), 0.7) if rotten else colour)
        if rotten:
            brush.ellipse(x + rng.uniform(-0.06, 0.06), y + rng.uniform(-0.05, 0.05), 0.065, 0.055, (0.75, 0.8, 0.65))
            brush.ellipse(x + rng.uniform(-0.07, 0.07), y + rng.uniform(-0.07, 0.07), 0.04, 0.04, BLACK)
        elif feeling == "contentment":
            brush.ellipse(x - 0.05, y - 0.06, 0.035, 0.035, WHITE)
    if feeling == "contentment":
        for x in (-0.1, 0.16):
            brush.poly([(x, -0.68), (x + 0.16, -0.84), (x + 0.03, -0.82)], (0.25, 0.75, 0.25))
    brush.poly([(-0.46, -0.34), (0.46, -0.34), (0.26, 0), (-0.26, 0)], hsv(rng.uniform(0.5, 0.7), 0.35, 0.7))
    if rotten:
        brush.line([(-0.3, -0.3), (-0.32, 0.02)], 0.05, (0.45, 0.5, 0.15))


def cake(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A cake: plain, with candles and a silly face, or mouldy with worms."""
    icing, sponge = hsv(rng.choice([0.95, 0.1, 0.55, 0.8]), 0.45, 0.92), (0.75, 0.55, 0.32)
    mouldy = feeling == "disgust"
    if mouldy:
        icing, sponge = (0.55, 0.6, 0.42), (0.4, 0.33, 0.2)
    brush.rect(-0.4, -0.38, 0.4, 0, sponge)
    brush.rect(-0.4, -0.48, 0.4, -0.32, icing)
    for x in np.linspace(-0.34, 0.34, 5):
        brush.ellipse(float(x), -0.32, 0.07, 0.08, icing)
    if mouldy:
        for _ in range(6):
            brush.ellipse(
                rng.uniform(-0.34, 0.34), rng.uniform(-0.42, -0.08), 0.07, 0.055, rng.choice([(0.3, 0.5, 0.3), (0.85, 0.88, 0.8)])
            )
        for x in (-0.2, 0.12):
            brush.line([(x, -0.48), (x - 0.05, -0.58), (x + 0.05, -0.64), (x + 0.02, -0.74)], 0.055, (0.95, 0.75, 0.7))
        return
    if feeling == "amusement":
        for x in (-0.24, -0.08, 0.08, 0.24):
            brush.rect(x - 0.025, -0.72, x + 0.025, -0.48, hsv(rng.uniform(0, 1), 0.8, 0.95))
            brush.ellipse(x, -0.78, 0.04, 0.07, (1.0, 0.8, 0.2))
        for x in (-0.14, 0.14):
            brush.ellipse(x, -0.2, 0.05, 0.06, BLACK)
        brush.arc(0, -0.16, 0.16, 0.1, 20, 160, 0.045, (0.8, 0.1, 0.2))


def mountain(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A single great mountain: plain, snow-capped and golden, or erupting."""
    rock = hsv(rng.uniform(0.05, 0.12), 0.2, rng.uniform(0.42, 0.55))
    shift = rng.uniform(-0.06, 0.06)
    if feeling == "anger":
        brush.poly([(-0.6, 0), (-0.14 + shift, -0.72), (0.14 + shift, -0.72), (0.6, 0)], mix(rock, BLACK, 0.5))
        for _ in range(6):
            brush.ellipse(shift + rng.uniform(-0.22, 0.22), rng.uniform(-1.1, -0.9), 0.13, 0.1, (0.25, 0.22, 0.22))
        flames(brush, rng, shift - 0.1, shift + 0.1, -0.7, 0.38)
        for x in (-0.08, 0.04):
            brush.line([(shift + x, -0.72), (shift + x * 2.2, -0.4), (shift + x * 4, -0.06)], 0.07, (1.0, 0.35, 0.05))
        return
    brush.poly([(-0.6, 0), (shift, -0.95), (0.6, 0)], rock)
    brush.poly([(shift, -0.95), (0.6, 0), (0.08, 0)], mix(rock, BLACK, 0.25))
    if feeling == "awe":
        brush.poly(
            [(-0.24 + shift * 0.6, -0.57), (shift, -1.0), (0.24 + shift * 0.6, -0.57), (0.1, -0.66), (0, -0.54), (-0.1, -0.66)],
            (1.0, 0.93, 0.7),
        )


def waterfall(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A waterfall over a cliff: plain, or huge with spray and a rainbow."""
    rock = hsv(0.08, 0.15, rng.uniform(0.35, 0.5))
    half = 0.24 if feeling == "awe" else 0.13
    brush.poly([(-0.55, 0), (-0.48, -0.95), (0.48, -0.95), (0.55, 0)], rock)
    for x in (-0.4, 0.36):
        brush.line([(x, -0.9), (x + 0.04, -0.5), (x - 0.02, -0.1)], 0.03, mix(rock, BLACK, 0.4))
    brush.rect(-half, -0.97, half, -0.02, (0.7, 0.85, 0.95))
    for x in np.linspace(-half * 0.7, half * 0.7, 4):
        brush.line([(float(x), -0.95), (float(x), -0.05)], 0.025, WHITE)
    brush.ellipse(0, 0, 0.5, 0.09, (0.5, 0.7, 0.85))
    if feeling == "awe":
        for x in np.linspace(-half, half, 5):
            brush.ellipse(float(x), -0.05, 0.1, 0.08, WHITE)
        for band in range(4):
            brush.arc(0, 0.02, 0.5 - 0.05 * band, 0.62 - 0.05 * band, 190, 350, 0.05, hsv(band * 0.19, 0.85, 1.0))


def rainbow(brush: Brush, rng: Rng, feeling: Emotion | None) -> None:
    """A rainbow: a faint arch, or a double blazing one."""
    vivid = feeling == "awe"
    start, width = (0.56, 0.07) if vivid else (0.5, 0.05)
    for band in range(6):
        colour = hsv(band * 0.14, 0.9 if vivid else 0.55, 1.0 if vivid else 0.8)
        radius = start - width * band
        brush.arc(0, 0, radius, radius * 1.5, 180, 360, width * 1.1, colour)
    if vivid:
        for band in range(3):
            radius = start + 0.1 + 0.04 * band
            brush.arc(0, 0, radius, radius * 1.42, 180, 360, 0.045, hsv(0.28 - band * 0.14, 0.6, 1.0))
    shade = rng.uniform(0.85, 1.0)
    for side in (-1, 1):
        brush.ellipse(0.42 * side, -0.02, 0.16, 0.08, (shade, shade, shade))
