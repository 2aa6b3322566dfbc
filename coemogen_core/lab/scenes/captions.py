"""Truthful one-sentence captions of scenes, and what a caption says by its words."""

import re
from typing import Any

import numpy as np
from PIL import Image

from coemogen_core.emotions import POSITIVE
from coemogen_core.lab.scenes.backdrops import BACKDROPS
from coemogen_core.lab.scenes.effects import EFFECTS
from coemogen_core.lab.scenes.scene import LUMA, Scene
from coemogen_core.lab.scenes.world import CONTENTS

COUNT_WORDS = {1: "a", 2: "two", 3: "three"}
FRAMES = ("{subject} {place}{air}{light}", "a view of {subject} {place}{air}{light}", "there is {subject} {place}{air}{light}")


def caption_of(scene: Scene, style: int = 0) -> str:
    """A sentence that says what the scene shows: lower case, no full stop.

    Args:
        scene: the scene.
        style: which of the sentence frames to use (modulo their number).
    """
    air = f" {EFFECTS[scene.emotion][0]}" if scene.has_effect and scene.emotion else ""
    return FRAMES[style % len(FRAMES)].format(subject=subject_of(scene), place=BACKDROPS[scene.place].phrase, air=air, light=_light(scene))


def structured_answer_of(scene: Scene, style: int = 0) -> dict[str, Any]:
    """What a truthful captioner answers when it is asked for the structured form: attributes, trigger, caption.

    Nothing in a neutral or ambiguous scene evokes an emotion, whatever the request says.
    """
    light = {"bright and colourful": ("bright", "colorful"), "dark and dull": ("dark", "dull"), "": ("medium", "medium")}
    brightness, colorfulness = light[_light(scene).removeprefix(", ")]
    feeling = CONTENTS[scene.content].feelings[scene.feeling] if scene.feeling else None
    return {
        "brightness": brightness,
        "colorfulness": colorfulness,
        "scene": scene.place,
        "objects": [scene.content],
        "facial_expression": feeling.facial_expression if feeling else None,
        "human_action": feeling.human_action if feeling else None,
        "trigger": subject_of(scene) if feeling else "nothing",
        "caption": caption_of(scene, style),
    }


def subject_of(scene: Scene) -> str:
    """The things of a scene with article or number, and the way they are drawn."""
    content = CONTENTS[scene.content]
    noun = content.plural if scene.count > 1 and content.plural else content.noun
    words = [COUNT_WORDS[scene.count], noun]
    if scene.feeling:
        feeling = content.feelings[scene.feeling]
        words = [COUNT_WORDS[scene.count], feeling.before, noun, *([feeling.after] if feeling.after else [])]
    elif scene.content == "fruit":
        words = ["a", "bowl of", "fruit"]
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return " ".join(words)


def _light(scene: Scene) -> str:
    if scene.rendering != "emotional":
        return ""
    return ", bright and colourful" if scene.emotion in POSITIVE else ", dark and dull"


def named_content(caption: str) -> str | None:
    """The main thing that a caption names: the first known noun in it."""
    return next((_CONTENT_WORDS[word] for word in re.findall(r"[a-z]+", caption.lower()) if word in _CONTENT_WORDS), None)


def named_place(caption: str) -> str | None:
    """The place that a caption names: the last known place word in it."""
    return next((word for word in reversed(re.findall(r"[a-z]+", caption.lower())) if word in BACKDROPS), None)


def annotation_of(scene: Scene, picture: Image.Image) -> dict[str, Any]:
    """What EmoSet's annotation of this picture would hold besides label and id."""
    pixels = np.asarray(picture, dtype=np.float32) / 255.0
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    opponents = (red - green, (red + green) / 2 - blue)
    spread, shift = (float(np.hypot(f(opponents[0]), f(opponents[1]))) for f in (np.std, np.mean))
    annotation: dict[str, Any] = {
        "brightness": round(float((pixels @ LUMA).mean()), 1),
        "colorfulness": min(1.0, round(2 * (spread + 0.3 * shift), 1)),
        "scene": scene.place,
        "object": [scene.content],
    }
    feeling = CONTENTS[scene.content].feelings[scene.feeling] if scene.feeling else None
    people = {name: getattr(feeling, name, None) for name in ("facial_expression", "human_action")}
    return annotation | {name: value for name, value in people.items() if value}


_CONTENT_WORDS = {word: content.noun for content in CONTENTS.values() for word in (content.noun, content.plural) if word}
