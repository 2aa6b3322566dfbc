"""Whether a caption is English: CLIP's text encoder knows little else, and multilingual models slip."""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

SURELY_ANOTHER = 0.5  # least probability of the language that it is taken for instead
SURELY_NOT = 0.01
"""Probability of English below which a caption is turned down. Low on purpose: naive Bayes is unsure of short captions ("a cupcake" 0.02,
"a car in a desert" 0.08) and sure of foreign ones ("Ein Hund im Wald" 0.005, longer ones 1e-4 and less)."""
ENGLISH_ALONE = re.compile(r"\b(?:the|and|with|(?:in|on|of|at|by|for|from|near|over|under|beside|through|against) an?)\b", re.IGNORECASE)
"""Words that settle it without asking (thirty microseconds each, at thousands of captions a second); only beside Latin letters."""


def foreign_language(text: str) -> str | None:
    """ISO 639 code of the language when a text is surely not English, else None; texts without letters count as English."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return None
    foreign_script = sum(ord(character) > 0x24F for character in letters) > len(letters) / 5  # past Latin with its extensions
    if not foreign_script and ENGLISH_ALONE.search(text):
        return None
    ranking = _identifier().rank(text)
    english, likeliest = float(dict(ranking)["en"]), float(ranking[0][1])
    if foreign_script or (english < SURELY_NOT and likeliest > SURELY_ANOTHER):
        return next(str(language) for language, _ in ranking if language != "en")
    return None


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
