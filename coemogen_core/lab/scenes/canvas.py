"""Drawing surface of the lab: shapes in unit coordinates, drawn large and reduced so that edges are smooth."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
OVERSAMPLING = 4

Rng = np.random.Generator
Colour = tuple[float, float, float]  # RGB, each in [0, 1]
Point = tuple[float, float]  # x to the right, y downwards
BLACK: Colour = (0.08, 0.07, 0.08)
WHITE: Colour = (0.97, 0.97, 0.95)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Colour between two: `share` 0 is the first, 1 the second."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a hue in turns (0 to 1), a saturation and a value in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


@dataclass(frozen=True)
class Brush:
    """Draws in a local frame: origin on the ground line, one unit = `scale` of the picture's width, mirrored if `flip`."""

    draw: ImageDraw.ImageDraw
    pixels: int
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    flip: bool = False

    def at(self, x: float, y: float, scale: float = 1.0, flip: bool = False) -> "Brush":
        """A brush whose origin lies at (x, y) of this frame."""
        px, py = self._point((x, y))
        return Brush(self.draw, self.pixels, px / self.pixels, py / self.pixels, self.scale * scale, self.flip != flip)

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Filled rectangle between two corners."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Filled ellipse around (x, y)."""
        px, py = self._point((x, y))
        rx, ry = rx * self.scale * self.pixels, ry * self.scale * self.pixels
        self.draw.ellipse([px - rx, py - ry, px + rx, py + ry], fill=_rgb(colour))

    def poly(self, points: Sequence[Point], colour: Colour) -> None:
        """Filled polygon."""
        self.draw.polygon([self._point(point) for point in points], fill=_rgb(colour))

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Open line through the points; `width` in local units."""
        pixels = max(1, round(width * self.scale * self.pixels))
        self.draw.line([self._point(point) for point in points], fill=_rgb(colour), width=pixels, joint="curve")

    def arc(self, x: float, y: float, rx: float, ry: float, start: float, end: float, width: float, colour: Colour) -> None:
        """Part of an ellipse's outline, clockwise from `start` to `end` in degrees (0 = right, 90 = down)."""
        angles = np.radians(np.linspace(start, end, 24))
        self.line([(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles], width, colour)

    def _point(self, point: Point) -> Point:
        x = -point[0] if self.flip else point[0]
        return (self.x + x * self.scale) * self.pixels, (self.y + point[1] * self.scale) * self.pixels


class Canvas:
    """An RGB picture of SIZE x SIZE pixels under construction; `brush` draws in unit coordinates of the whole picture."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (SIZE * OVERSAMPLING, SIZE * OVERSAMPLING))
        self.brush = Brush(ImageDraw.Draw(self._image), SIZE * OVERSAMPLING)

    def gradient(self, top: Colour, bottom: Colour, y0: float, y1: float) -> None:
        """Vertical gradient over the full width, from height y0 down to y1."""
        steps = 12
        for step in range(steps):
            upper, lower = (y0 + (y1 - y0) * (step + offset) / steps for offset in (0, 1))
            self.brush.rect(0, upper, 1, lower + 0.005, mix(top, bottom, step / (steps - 1)))

    def veil(self, colour: Colour, opacity: float) -> None:
        """Cover everything drawn so far with a translucent colour."""
        self._image = Image.blend(self._image, Image.new("RGB", self._image.size, _rgb(colour)), opacity)
        self.brush = Brush(ImageDraw.Draw(self._image), self.brush.pixels)

    def glow(self, points: Sequence[Point], colour: Colour, opacity: float) -> None:
        """Lay a translucent polygon over everything drawn so far."""
        mask = Image.new("L", self._image.size, 0)
        pixels = self.brush.pixels
        ImageDraw.Draw(mask).polygon([(x * pixels, y * pixels) for x, y in points], fill=round(255 * opacity))
        self._image.paste(Image.new("RGB", self._image.size, _rgb(colour)), mask=mask)

    def pixels(self) -> np.ndarray:
        """The finished picture: float32 [SIZE, SIZE, 3] in [0, 1]."""
        return np.asarray(self._image.reduce(OVERSAMPLING), dtype=np.float32) / 255.0


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(1.0, max(0.0, channel))) for channel in colour)
    return red, green, blue
