"""The names of Mikels' eight emotions in the order that every table, tensor and report uses (EmoSet's and EmoGen's class order)."""

from typing import Literal, get_args

EmotionName = Literal["amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"]
EMOTION_NAMES: tuple[EmotionName, ...] = get_args(EmotionName)
