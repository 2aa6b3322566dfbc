"""What chat models write around an answer in plain words: the names of the speakers, reasoning, courtesies, a box."""

import json
import re

from coemogen_core.captioning.model_text import NoTextError

_ANSWER = r"(?:caption|description|answer|response|output|result)"
_OWN_ROLE = re.compile(
    r"\A(?:[#*]+ *)*(?:(?:ASSISTANT|Assistant|AI|Model|Bot)\b\W{0,3}:[*\s]*|(?:assistant|model)[ \t]*\n|(?<=# )(?:Assistant|Response)\W*\n)"
)
_ECHO = re.compile(r"\A\W{0,4}(?:USER|User|Human|SYSTEM|System)\W{0,3}:.*\b(?:ASSISTANT|Assistant|AI|Model)\W{0,3}:[*\s]*", re.DOTALL)
_NEXT_TURN = re.compile(r"\n[ \t]*[#*]*[ \t]*(?:(?:USER|User|Human|Instruction|Question|Input)\W{0,3}:|(?:user|human)\s*\n).*\Z", re.DOTALL)
_REASONING = re.compile(
    r"\A\W{0,4}(?:(?:(?:my|the) )?(?:thoughts?|thought process|thinking|reasoning|rationale|analysis|observations?"
    r"|step[- ]by[- ]step[\w -]*)\W{0,4}:|thinking(?: process)?(?:\.\.\.|…)|here is my thought process|let(?:'|’)?s think)",
    re.IGNORECASE,
)
_UP_TO_THE_ANSWER = re.compile(
    rf"\A.*(?:(?:\.\.\.|…)\s*done thinking\.?|here is my response\s*:|(?:\A|[\s*_#(>])(?:the |my )?(?:final )?{_ANSWER}\W{{0,3}}:)[\s*_]*",
    re.IGNORECASE | re.DOTALL,
)
_BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_TEXT_IN_A_BOX = re.compile(r"\\(?:text|textbf|mathrm)\s*\{([^{}]*)\}")
_COURTESY_BEFORE = re.compile(
    r"^\W{0,3}(?:(?:sure|certainly|absolutely|of course|okay|ok|got it|no problem|great|understood)(?: thing)?\s?[,.:!].*(?<=[.:!])"
    r"|(?:here (?:are|is|you go)|here(?:'|’)s|below (?:are|is)|the following (?:are|is)|i(?:'|’)d be happy)\b.*:)\W*$",
    re.IGNORECASE,
)
_COURTESY_AFTER = re.compile(
    r"^\W{0,3}(?:i hope\b|hope (?:this|these|that|it)\b|(?:please )?let me know\b|(?:please )?feel free\b"
    r"|if you(?:'|’)?(?:d| would| need| want)\b|would you like\b|do you want\b|enjoy\s?!|(?:please )?note(?:\s*:| that\b)"
    r"|explanation\s*:|is there anything\b|(?:this|each|the) (?:caption|prompt|description)s?\b|these (?:prompts|captions)\b|[-=*_]{3,}$)",
    re.IGNORECASE,
)


def unframed(text: str) -> str:
    """An answer without what is said around it. What has no frame comes back as it is.

    Raises:
        NoTextError: reasoning in words, and no answer after it.
    """
    text = _NEXT_TURN.sub("", _OWN_ROLE.sub("", _ECHO.sub("", text)))
    if _REASONING.search(text):
        answer = _UP_TO_THE_ANSWER.sub("", text)
        if answer == text or not answer.strip():
            raise NoTextError(f"reasoning without an answer ({text.strip()[:60]!r})")
        text = answer
    if boxes := _BOX.findall(text):
        text = _TEXT_IN_A_BOX.sub(r"\1", boxes[-1])
    return _without_courtesies(text).strip()


def texts_in_json(text: str) -> list[str] | None:
    """The texts of an answer that is JSON, e.g. `{"caption": "A dog runs."}` or `["a dog", "a cat"]`; None where it is not JSON.

    Raises:
        NoTextError: it looks like JSON, and no texts alone can be found in it.
    """
    inner = _FENCE.sub(r"\1", text.strip()).strip()
    if not _LIKE_JSON.match(inner):
        return None
    try:
        value = json.loads(inner)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        told = [value[key] for key in value if re.fullmatch(rf"{_ANSWER}s?|text|content|prompts?", str(key), re.IGNORECASE)]
        value = (told or list(value.values()))[0] if len(told) == 1 or len(value) == 1 else None
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        raise NoTextError(f"JSON instead of text ({text.strip()[:60]!r})")
    return texts


_FENCE = re.compile(r"^```\w*\s(.*?)(?:```)?$", re.DOTALL)
_LIKE_JSON = re.compile(r"""\{\s*["'}]|\[\s*["'{\]]""")


def _without_courtesies(text: str) -> str:
    """Lines at both ends that speak to the asker come off, never the last line that is left."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = len(lines)
    while len(lines) > 1 and _COURTESY_AFTER.search(lines[-1]):
        lines.pop()
    if len(lines) > 1 and _COURTESY_BEFORE.search(lines[0]):
        lines.pop(0)
    return text if len(lines) == found else "\n".join(lines)
