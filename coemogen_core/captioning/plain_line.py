"""A line of text out of what was written around it: Markdown, a label such as "Caption:", a number, quotes."""

import re

QUOTES = "\"'`“”‘’«»"
_OPENING = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»", "„": "“", "「": "」", "『": "』", "(": ")", "[": "]"}
_UNPAIRED = '"“”„«»'  # quotes that are no apostrophe
_KINDS = r"(?:short|brief|detailed|final|image|picture|alt|one-sentence|the|my)"
_LABELS = rf"(?:(?:{_KINDS} ){{0,2}}(?:caption|description|answer|output|response|summary|sentence|title|alt text)|final|text|json)"
_LABEL = re.compile(
    rf"^(?:[\"']?{_LABELS}[\"']?(?: of the (?:image|picture)| \d+)?(?: is)?\s*[:：=]\s*(?:\|\s)?"
    rf"|{_LABELS}\s+[-–—]\s+|\[{_LABELS}\]\s*:?\s*)",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(rf"^(?:#{{1,6}} *)?([*_]*){_LABELS}\1 *\n+", re.IGNORECASE)
FENCE = re.compile(r"^```(?:\w*\n)?\s*(.*?)\s*(?:```)?$", re.DOTALL)
_PICTURE = re.compile(r"^!\[[^\]\n]*\]\([^)\n]*\)\s*")
_ENDS_OF_LINES = re.compile(r"^(?:\\n|\s)+|(?:\\n|\s)+$")
_HEADING = re.compile(r"^(?:#{1,6}|>|[-–*•▪●+](?=\s+\D)|\(?1[.)])\s+")
_EMPHASIS = re.compile(r"(?<!\w)(\*\*\*|\*\*|~~|\*)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_UNDERSCORES = re.compile(r"^(_+)(?=[^\s_])([^_]*[^\s_])\1$")
_LEFT_MARKS = re.compile(r"^(?:\*+|~+|#{2,})\s*(?=\w)|(?<=[.!?\w])\s*(?:\*+|~+|#{2,}|```)$")


def clean_caption(raw: str) -> str:
    """One line without Markdown, a label ("Caption: ...") and surrounding quotes, and with single blanks.

    Cleaning a clean caption changes nothing.
    """
    text, before = raw, None
    while text != before:
        text, before = _unwrapped(text), text
    return "" if not text.strip(QUOTES + " ") else text


def _unwrapped(raw: str) -> str:
    """A caption without the outermost of what is around it."""
    text = _PICTURE.sub("", _ENDS_OF_LINES.sub("", raw.replace("\u200b", "")))
    text = _LABEL_LINE.sub("", FENCE.sub(r"\1", text))
    text = _UNDERSCORES.sub(r"\2", _EMPHASIS.sub(r"\2", _HEADING.sub("", " ".join(text.split()))))
    return _unquoted(_LABEL.sub("", _LEFT_MARKS.sub("", text)).replace('\\"', '"')).strip()


def _unquoted(text: str) -> str:
    """Without a pair of quotes or brackets around the whole, or the half of a pair."""
    if len(text) < 2:
        return text
    first, last, inner = text[0], text[-1], text[1:-1]
    if _OPENING.get(first) == last:
        doubled = len(inner) > 1 and inner[0] == first and inner[-1] == last
        if doubled or (first not in inner and last not in inner):
            return inner
    if first in _UNPAIRED and not any(quote in text[1:] for quote in _UNPAIRED):
        return text[1:]
    if last in _UNPAIRED and not any(quote in text[:-1] for quote in _UNPAIRED):
        return text[:-1]
    return text
