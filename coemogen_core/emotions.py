"""Mikels' eight emotions: their order, their polarity and their index among the HiLoRA pairs.

The order is the class order of EmoSet and of EmoGen's released classifier; every table, tensor and report uses it.
"""

from typing import Literal, get_args

from schemas.choices import EMOTION_NAMES, EmotionName

Emotion = EmotionName
Polarity = Literal["positive", "negative"]

EMOTIONS: tuple[Emotion, ...] = EMOTION_NAMES
POLARITIES: tuple[Polarity, ...] = get_args(Polarity)
POSITIVE: tuple[Emotion, ...] = EMOTIONS[:4]
NEGATIVE: tuple[Emotion, ...] = EMOTIONS[4:]

EMOART_EMOTIONS: tuple[Emotion, ...] = ("amusement", "awe", "contentment", "anger", "fear", "sadness")
"""The six that EmoArt keeps: excitement and disgust are too rare in art (paper, section on EmoArt)."""


def polarity_of(emotion: Emotion) -> Polarity:
    """Polarity of an emotion."""
    return "positive" if emotion in POSITIVE else "negative"


def parse_emotion(text: str) -> Emotion:
    """Read an emotion name, ignoring case and surrounding blanks.

    Raises:
        ValueError: the text names none of the eight; the message lists them.
    """
    name = text.strip().lower()
    for emotion in EMOTIONS:
        if emotion == name:
            return emotion
    raise ValueError(f"unknown emotion {text!r}; expected one of: {', '.join(EMOTIONS)}")
