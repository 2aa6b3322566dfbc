"""From a model's raw answer to a caption: cleaning, and lints that say why an answer is no caption."""

import re

from coemogen_core.captioning.language import foreign_language

QUOTES = "\"'`“”‘’«»"
_OPENING = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}
_ABBREVIATION = re.compile(r"mr|mrs|ms|dr|st|vs|etc|jr|sr|approx|(?:[a-z]\.)+[a-z]", re.IGNORECASE)
_INITIAL = re.compile(r"[A-Z]")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)")
_REFUSAL = re.compile(
    r"^(?:(?:i'm|i am|we're|we are)\s+(?:(?:very|so|really) )?(?:sorry|unable|afraid|not able)\b"
    r"|(?:i|we)\s+(?:can(?:not|'t| not)|could(?:n't| not)|won't|do(?:n't| not))\b"
    r"|sorry\b|unfortunately\b|my apologies\b|i apologi[sz]e\b|as an? (?:ai|artificial|large|language)\b)",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"^(?:sure|certainly|of course|here is|here's|caption\s*:|description\s*:|answer\s*:)(?:\W|$)"
    r"|^(?:in )?(?:the|this|an)\s+(?:image|picture|photo|photograph|painting|artwork|scene)\s+(?:clearly |vividly |here )?"
    r"(?:shows?|showing|depicts?|depicting|displays?|portrays?|presents?|features?|contains?|illustrates?|is of|is showing)\b"
    r"|^in (?:the|this) (?:image|picture|photo|photograph|painting|artwork|scene)\b",
    re.IGNORECASE,
)


def clean_caption(raw: str) -> str:
    """One line without surrounding quotes, and with single blanks. Cleaning a clean caption changes nothing."""
    text = " ".join(raw.replace("\u200b", "").split())
    while len(text) >= 2 and _OPENING.get(text[0]) == text[-1] and text[0] not in text[1:-1] and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return "" if not text.strip(QUOTES + " ") else text


def count_sentences(text: str) -> int:
    """Number of sentences: ends of `.`, `!`, `?` before a blank or the end of the text; a rest without one counts.

    Not ends: abbreviations and initials ("Dr.", "U.S.", "J. Smith"), and quoted exclamations in mid-sentence ('"Stop!" says the sign').
    """
    count, start = 0, 0
    for end in _SENTENCE_END.finditer(text):
        has_words = any(character.isalnum() for character in text[start : end.start()])
        if has_words and (end.end() == len(text) or not _goes_on(text, start, end)):
            count, start = count + 1, end.end()
    return count + any(character.isalnum() for character in text[start:])


def lint_caption(caption: str, max_sentences: int = 1) -> str | None:
    """Reason why a cleaned answer is no caption, or None when it is one.

    Reasons: `empty`, `refusal`, `boilerplate` ("the image shows ..."), `more than one sentence` (or the number that the prompt allows),
    `not English`. A caption that is too long for CLIP's text encoder is none of them: the paper's long prompts make such captions on
    purpose. Its length is stored with its alignment, where the encoder's own tokenizer counts it.
    """
    if not any(character.isalnum() for character in caption):
        return "empty"
    plain = caption.replace("’", "'").lstrip(QUOTES + " ")
    if _REFUSAL.search(plain):
        return f"refusal ({_beginning(caption)})"
    if _BOILERPLATE.search(plain):
        return f"boilerplate ({_beginning(caption)})"
    if count_sentences(caption) > max_sentences:
        return "more than one sentence" if max_sentences == 1 else f"more than {max_sentences} sentences"
    language = foreign_language(caption)
    return f"not English ({language}: {_beginning(caption)})" if language else None


def _goes_on(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether the sentence that began at `start` goes on after this mark."""
    if end.group() == ".":
        last_word = text[start : end.start()].rsplit(" ", 1)[-1].lstrip("(" + QUOTES)
        return bool(_ABBREVIATION.fullmatch(last_word) or _INITIAL.fullmatch(last_word))
    quoted = end.group()[-1] in QUOTES
    return quoted and text[end.end() :].lstrip()[:1].islower()


def _beginning(caption: str) -> str:
    return f"{caption[:60]!r}"
