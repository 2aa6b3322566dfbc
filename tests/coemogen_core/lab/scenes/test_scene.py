"""The world keeps its promises: enough templates, polarity in the colours, truth in the captions."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from coemogen_core.emotions import EMOTIONS, NEGATIVE, POSITIVE
from coemogen_core.lab.scenes.captions import annotation_of, caption_of, named_content, named_place
from coemogen_core.lab.scenes.painterly import STYLES, paint
from coemogen_core.lab.scenes.scene import LUMA, Scene, grade, render, sample_scene
from coemogen_core.lab.scenes.world import BY_EMOTION, CONTENTS


def test_every_emotion_has_six_contents_and_eight_have_none() -> None:
    assert all(len(BY_EMOTION[emotion]) >= 6 for emotion in EMOTIONS)
    assert sum(not content.feelings for content in CONTENTS.values()) == 8


def test_some_contents_belong_to_two_or_three_emotions() -> None:
    shared = [content.noun for content in CONTENTS.values() if len(content.feelings) >= 2]
    assert len(shared) >= 10
    assert {"face", "tree", "fruit", "boat"} <= set(shared)
    assert max(len(content.feelings) for content in CONTENTS.values()) == 3


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.sampled_from([*EMOTIONS, None]), st.integers(0, 5))
def test_captions_name_the_true_content_and_place(seed: int, emotion: str | None, style: int) -> None:
    scene = sample_scene(np.random.default_rng(seed), emotion)  # type: ignore[arg-type]
    caption = caption_of(scene, style)
    assert (named_content(caption), named_place(caption)) == (scene.content, scene.place)
    assert not set(EMOTIONS) & set(caption.replace(",", "").split()), "a caption must not give the emotion away"


def test_the_same_scene_always_gives_the_same_picture_and_seeds_differ() -> None:
    scene = sample_scene(np.random.default_rng(3), "awe")
    assert render(scene).tobytes() == render(scene).tobytes()
    assert render(scene).size == (64, 64)
    other = Scene(**{**scene.__dict__, "seed": scene.seed + 1})
    assert render(scene).tobytes() != render(other).tobytes()


def test_polarity_shows_in_brightness_and_colourfulness() -> None:
    rng, measured = np.random.default_rng(0), defaultdict(list)
    for emotion in [*EMOTIONS, None] * 20:
        annotation = annotation_of(scene := sample_scene(rng, emotion), render(scene))  # type: ignore[arg-type]
        measured[emotion].append((annotation["brightness"], annotation["colorfulness"]))
    mean = {emotion: np.mean(values, axis=0) for emotion, values in measured.items()}
    assert min(mean[e][0] for e in POSITIVE) > mean[None][0] > max(mean[e][0] for e in NEGATIVE)
    assert min(mean[e][1] for e in POSITIVE) > max(mean[e][1] for e in NEGATIVE)


def test_a_content_of_two_emotions_differs_in_its_drawing() -> None:
    pictures = {
        emotion: np.asarray(render(Scene("face", "wall", emotion, "emotional", 1, False, 5)), dtype=float)  # type: ignore[arg-type]
        for emotion in ("amusement", "anger", "sadness")
    }
    for first, second in (("amusement", "anger"), ("anger", "sadness"), ("amusement", "sadness")):
        assert np.abs(pictures[first] - pictures[second]).mean() > 10


def test_ambiguous_scenes_are_drawn_without_their_feeling() -> None:
    scene = sample_scene(np.random.default_rng(1), "fear", ambiguous=True)
    assert scene.emotion == "fear"
    assert scene.feeling is None
    assert not scene.has_effect


@settings(max_examples=30)
@given(st.floats(0.27, 0.7), st.floats(0.35, 1.3), st.integers(0, 1000))  # what scenes are graded to
def test_grading_reaches_the_wanted_brightness(brightness: float, saturation: float, seed: int) -> None:
    pixels = np.random.default_rng(seed).uniform(0.05, 0.95, (64, 64, 3)).astype(np.float32)
    graded = grade(pixels, brightness, saturation)
    assert graded.min() >= 0
    assert graded.max() <= 1
    assert abs(float((graded @ LUMA).mean()) - brightness) < 0.04


@pytest.mark.parametrize("style", list(STYLES))
def test_painting_changes_the_picture_but_keeps_its_composition(style: str) -> None:
    picture = render(sample_scene(np.random.default_rng(2), "contentment"))
    painted = paint(picture, style, seed=4)
    assert painted.size == (64, 64)
    assert painted.tobytes() == paint(picture, style, seed=4).tobytes()
    small, small_painted = (np.asarray(image.resize((8, 8), Image.Resampling.BOX), dtype=float) for image in (picture, painted))
    assert np.abs(np.asarray(picture, dtype=float) - np.asarray(painted, dtype=float)).mean() > 2
    assert np.corrcoef(small.ravel(), small_painted.ravel())[0, 1] > 0.7
