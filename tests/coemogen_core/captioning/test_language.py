import json

import numpy as np
import pytest

from coemogen_core.captioning.judge import foreign_language
from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.scene import sample_scene


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Ein Hund im Wald", "de"),
        ("Un chien dans la forêt sombre", "fr"),
        ("Un perro triste bajo la lluvia gris mira la calle vacía.", "es"),
        ("Een hond loopt door het donkere bos", "nl"),
        ("Un uomo triste cammina da solo sotto la pioggia.", "it"),
        ("Грустная собака под дождём", "ru"),
        ("一只狗在森林里", "zh"),
    ],
)
def test_foreign_captions_are_named(text, language):
    assert foreign_language(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "a cupcake",
        "Sunny beach",
        "Melancholic solitude",
        "a car in a desert",
        "grimacing clown, neon carnival",
        "12:34",
        "",
        "Café in Paris",
        "Vivid balloons soar above a sunlit meadow, radiating joy.",
        "SCREAMING CROWD",
    ],
)
def test_english_and_next_to_nothing_pass(text):
    assert foreign_language(text) is None


def test_english_with_a_chinese_rest_is_not_english():
    assert foreign_language("The dog 在一片黑暗的森林里奔跑") == "zh"


def test_every_caption_of_the_lab_passes():
    rng = np.random.default_rng(0)
    captions = {caption_of(sample_scene(rng, EMOTIONS[int(rng.integers(len(EMOTIONS)))]), style) for _ in range(400) for style in range(3)}
    assert not [caption for caption in captions if foreign_language(caption)], json.dumps(sorted(captions)[:3])
