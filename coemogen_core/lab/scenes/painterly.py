"""Painterly renderings: the same world as a painter of some school would have left it on canvas."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from coemogen_core.lab.scenes.canvas import Rng


def _impressionism(picture: Image.Image, rng: Rng) -> Image.Image:
    """Short dabs of colour, each a little off."""
    pixels = np.asarray(picture)
    canvas = picture.filter(ImageFilter.GaussianBlur(1.5))
    draw = ImageDraw.Draw(canvas)
    for y, x in rng.integers(0, 64, (1100, 2)):
        colour = np.clip(pixels[y, x] + rng.normal(0, 14, 3), 0, 255).astype(int)
        draw.line([(x - 1, y), (x + 1.5, y + rng.uniform(-1, 1))], fill=(*colour.tolist(),), width=2)
    return canvas


def _pointillism(picture: Image.Image, rng: Rng) -> Image.Image:
    """Round dots of purer colour on a light ground."""
    pixels = np.asarray(picture)
    canvas = Image.blend(picture.filter(ImageFilter.GaussianBlur(2)), Image.new("RGB", picture.size, (235, 230, 215)), 0.15).resize(
        (256, 256)
    )
    draw = ImageDraw.Draw(canvas)
    for y, x in rng.integers(0, 64, (1500, 2)):
        colour = np.clip(pixels[y, x] * rng.uniform(0.85, 1.15, 3), 0, 255).astype(int)
        radius = rng.uniform(3.5, 5.5)
        draw.ellipse([4 * x - radius, 4 * y - radius, 4 * x + radius, 4 * y + radius], fill=(*colour.tolist(),))
    return canvas.reduce(4)


def _expressionism(picture: Image.Image, rng: Rng) -> Image.Image:
    """Flowing distortion and few, hard colours."""
    pixels = np.asarray(picture)
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    phase, wave = rng.uniform(0, 6.28, 2), rng.uniform(6, 9, 2)
    y = np.clip(rows + 1.6 * np.sin(columns / wave[0] * 2 + phase[0]), 0, 63).round().astype(int)
    x = np.clip(columns + 1.6 * np.sin(rows / wave[1] * 2 + phase[1]), 0, 63).round().astype(int)
    posterised = (pixels[y, x].astype(np.float32) / 36).round() * 36
    return Image.fromarray(np.clip(posterised, 0, 255).astype(np.uint8)).filter(ImageFilter.EDGE_ENHANCE)


def _cubism(picture: Image.Image, rng: Rng) -> Image.Image:
    """Facets: every pixel takes the colour of the nearest of a few hundred points, shaded by facet."""
    pixels = np.asarray(picture).astype(np.float32)
    points = rng.integers(0, 64, (650, 2))
    rows, columns = np.mgrid[0:64, 0:64]
    distance = np.abs(rows[..., None] - points[:, 0]) + np.abs(columns[..., None] - points[:, 1])
    nearest = distance.argmin(-1)
    shade = rng.uniform(0.88, 1.12, (len(points), 1))
    return Image.fromarray(np.clip((pixels[points[:, 0], points[:, 1]] * shade)[nearest], 0, 255).astype(np.uint8))


def _baroque(picture: Image.Image, rng: Rng) -> Image.Image:
    """Warm varnish and corners that sink into shadow."""
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.6))).astype(np.float32)
    rows, columns = np.mgrid[0:64, 0:64]
    centre = 31.5 + rng.uniform(-6, 6, 2)
    distance = np.hypot(rows - centre[0], columns - centre[1]) / 45
    light = np.clip(1.12 - 0.5 * distance**2, 0.4, 1.15)[..., None]
    varnish = np.array([1.06, 0.97, 0.8])
    return Image.fromarray(np.clip(pixels * light * varnish, 0, 255).astype(np.uint8))


def _ukiyo_e(picture: Image.Image, rng: Rng) -> Image.Image:
    """Woodcut: dark outlines over flat tones on toned paper."""
    flat = picture.filter(ImageFilter.MedianFilter(3))
    edges = np.asarray(flat.convert("L").filter(ImageFilter.FIND_EDGES)).astype(np.float32)
    edges[[0, -1]] = edges[:, [0, -1]] = 0
    paper = np.array([238, 224, 196]) * rng.uniform(0.95, 1.03)
    tones = (np.asarray(flat).astype(np.float32) / 28).round() * 28 * 0.82 + paper * 0.18
    ink = np.clip(edges / 110, 0, 1)[..., None]
    return Image.fromarray(np.clip(tones * (1 - ink) + np.array([40, 34, 48]) * ink, 0, 255).astype(np.uint8))


STYLES: dict[str, Callable[[Image.Image, Rng], Image.Image]] = {
    "Impressionism": _impressionism,
    "Pointillism": _pointillism,
    "Expressionism": _expressionism,
    "Cubism": _cubism,
    "Baroque": _baroque,
    "Ukiyo_e": _ukiyo_e,
}
"""WikiArt's folder names of the styles, and how each paints a picture (RGB 64 x 64 in and out)."""


def paint(picture: Image.Image, style: str, seed: int) -> Image.Image:
    """The picture in a style of STYLES. The same seed always gives the same painting."""
    return STYLES[style](picture, np.random.default_rng(seed))
