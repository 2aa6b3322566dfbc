"""A scene: what a picture of the lab's world shows, known before it is drawn; and the renderer."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from coemogen_core.emotions import POSITIVE, Emotion
from coemogen_core.lab.scenes.backdrops import BACKDROPS
from coemogen_core.lab.scenes.canvas import Canvas, Rng
from coemogen_core.lab.scenes.effects import EFFECTS
from coemogen_core.lab.scenes.world import BY_EMOTION, CONTENTS

Rendering = Literal["neutral", "emotional", "ambiguous"]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
SHARE_WITH_EFFECT = 0.75


@dataclass(frozen=True)
class Scene:
    """Everything that determines a picture.

    `emotion` is the label; in an `ambiguous` rendering nothing but a faint shift of brightness supports it.
    """

    content: str
    place: str
    emotion: Emotion | None
    rendering: Rendering
    count: int
    has_effect: bool
    seed: int

    @property
    def feeling(self) -> Emotion | None:
        """The emotion that is actually drawn."""
        return self.emotion if self.rendering == "emotional" else None


def sample_scene(rng: Rng, emotion: Emotion | None, *, ambiguous: bool = False) -> Scene:
    """Draw a scene at random.

    Args:
        rng: source of all choices; the scene keeps a seed of its own for the rendering.
        emotion: what it shall evoke, or None for a neutral rendering of any content.
        ambiguous: label the scene with the emotion, but draw it almost neutrally (content from the whole world).
    """
    names = tuple(CONTENTS) if emotion is None or ambiguous else BY_EMOTION[emotion]
    content = CONTENTS[str(rng.choice(names))]
    rendering: Rendering = "neutral" if emotion is None else "ambiguous" if ambiguous else "emotional"
    return Scene(
        content=content.noun,
        place=str(rng.choice(content.places)),
        emotion=emotion,
        rendering=rendering,
        count=int(rng.integers(1, 4)) if content.plural else 1,
        has_effect=rendering == "emotional" and bool(rng.random() < SHARE_WITH_EFFECT),
        seed=int(rng.integers(2**31)),
    )


def render(scene: Scene) -> Image.Image:
    """Draw a scene: RGB, 64 x 64 pixels. The same scene always gives the same picture."""
    rng = np.random.default_rng(scene.seed)
    canvas = Canvas()
    place, content = BACKDROPS[scene.place], CONTENTS[scene.content]
    place.draw(canvas, rng, scene.feeling)
    for x, depth, size in _positions(rng, scene.count):
        scale = content.scale * size * rng.uniform(0.88, 1.08)
        brush = canvas.brush.at(x, place.ground - content.lift + depth, scale, flip=bool(rng.random() < 0.5))
        content.draw(brush, rng, scene.feeling)
    if scene.has_effect and scene.emotion is not None:
        EFFECTS[scene.emotion][1](canvas, rng)
    graded = grade(canvas.pixels(), *_grading(rng, scene))
    return Image.fromarray((graded * 255).round().astype(np.uint8))


def _positions(rng: Rng, count: int) -> list[tuple[float, float, float]]:
    """(x, depth below the ground line, relative size) of each thing, back to front."""
    if count == 1:
        return [(0.5 + rng.uniform(-0.12, 0.12), rng.uniform(-0.04, 0.04), 1.0)]
    xs = (np.arange(count) + 0.5) / count + rng.uniform(-0.04, 0.04, count)
    size = {2: 0.66, 3: 0.54}[count]
    depths = rng.uniform(-0.16, 0.04, count)
    return [(float(xs[k]), float(depths[k]), size) for k in np.argsort(depths)]


def _grading(rng: Rng, scene: Scene) -> tuple[float, float]:
    """Mean brightness and saturation factor: polarity shows here, and only here, in every picture alike."""
    if scene.rendering == "neutral" or scene.emotion is None:
        return rng.uniform(0.46, 0.54), rng.uniform(0.35, 0.5)
    positive = scene.emotion in POSITIVE
    if scene.rendering == "ambiguous":
        return (rng.uniform(0.5, 0.58) if positive else rng.uniform(0.4, 0.5)), rng.uniform(0.4, 0.7)
    if positive:
        return rng.uniform(0.56, 0.7), rng.uniform(1.0, 1.3)
    return rng.uniform(0.27, 0.4), rng.uniform(0.45, 0.75)


def grade(pixels: np.ndarray, brightness: float, saturation: float) -> np.ndarray:
    """Shift a picture to a mean brightness (by a power curve, so that nothing clips) and scale its saturation.

    Args:
        pixels: float [height, width, 3] in [0, 1].
        brightness: mean luma to reach, in (0, 1); reached up to the curvature of the power.
        saturation: factor on the distance of each colour from its grey.

    Returns:
        float array of the same shape in [0, 1].
    """
    grey = (pixels @ LUMA)[..., None]
    pixels = np.clip(grey + (pixels - grey) * saturation, 0.0, 1.0)
    for _ in range(2):
        mean = float(np.clip((pixels @ LUMA).mean(), 0.02, 0.98))
        pixels = pixels ** (np.log(brightness) / np.log(mean))
    return pixels
