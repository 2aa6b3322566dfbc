"""What chat models write around an answer in plain words: the names of the speakers, reasoning, courtesies, a box."""

import json
import re

from coemogen_core.captioning.model_text import NoTextError
from coemogen_core.captioning.plain_line import FENCE

_ANSWER = r"(?:caption|description|answer|response|output|result)"
_ROLE = r"(?:ASSISTANT|[Aa]ssistant|GPT)"
_OWN_ROLE = re.compile(
    rf"\A(?:[#*\s]*(?:{_ROLE}\**\s?:|\[{_ROLE}\]:?|ASSISTANT(?=\s)|A:(?=\s[A-Z]))[*\s]*|(?:assistant|model|final)[ \t]*\n"
    r"|#+ *(?:Assistant|Response)\W*\n)"
)
_ECHO = re.compile(
    rf"\A(?:\W{{0,4}}(?:USER|User|Human|SYSTEM|System)\W{{0,3}}:.*\b{_ROLE}\W{{0,3}}:[*\s]*|\s*\[INST\].*\[/INST\]\s*)", re.DOTALL
)
_NEXT_TURN = re.compile(
    r"\n(?:[ \t]*(?:#+[ \t]*)?\**(?:USER|User)\**[ \t]*:|[ \t]*#+[ \t]*(?:Human|Instruction|Question|Input)\W{0,3}:"
    r"|[ \t]*\n[ \t]*Human:|(?:user|human|assistant)[ \t]*(?:\n|\Z)).*\Z|(?<=[.!?])(?:assistant|user)\Z",
    re.DOTALL,
)
_REASONING = re.compile(
    r"\A\W{0,4}(?:(?:(?:my|the) )?(?:thoughts?|thought process|thinking(?: process)?|reasoning|rationale|analysis|observations?"
    r"|step[- ]by[- ]step[\w -]*)\W{0,4}:|thinking(?: process)?(?:\.\.\.|…)|here is my thought process|let(?:'|’)?s think)",
    re.IGNORECASE,
)
_UP_TO_THE_ANSWER = re.compile(
    rf"\A.*(?:(?:\.\.\.|…)\s*done thinking\.?|here is my response\s*:|(?:\A|[\s*_#(>])(?:the |my )?(?:final )?{_ANSWER}\W{{0,3}}:)[\s*_]*",
    re.IGNORECASE | re.DOTALL,
)
_ANOTHER_SENTENCE = re.compile(r"[.!?][\"”)]*[ \t]+\w")
_BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}\W*\Z")
_TEXT_IN_A_BOX = re.compile(r"\\(?:text|textbf|mathrm)\s*\{([^{}]*)\}")
_TEXTS = r"\b(?:prompts?|captions?|descriptions?|sentences?)\b"
_COURTESY_BEFORE = re.compile(
    r"^\W{0,3}(?:(?:sure|certainly|absolutely|of course|okay|ok|got it|no problem|great|understood)"
    rf"(?: thing)?\s?[,.:!]?(?:\W*$|(?<=[,.:!]).*(?:\bhere\b|\bbelow\b|\bi(?:'|’)(?:d|ll)\b|{_TEXTS}))"
    rf"|(?:here (?:are|is|you go)|here(?:'|’)s|below (?:are|is)|the following (?:are|is)|these are|i(?:'|’)d be happy)\b"
    rf".*(?::\W*$|{_TEXTS})"
    rf"|the user (?:wants|asks|needs)\b|(?:all|\(?\d+) (?:short )?prompts\b)",
    re.IGNORECASE,
)
_COURTESY_AFTER = re.compile(
    r"^\W{0,3}(?:i hope (?:this|these|that|you|it)\b|hope (?:this|these|that|it)\b|(?:please )?let me know\b|(?:please )?feel free\b"
    r"|if you\b.*\b(?:let me know|i can|i(?:'|’)ll|just ask|please|feel free)\b|would you like (?:me|another|more)\b|do you want me\b"
    r"|enjoy\s?!\W*$|happy \w+ing\b\W*$|(?:please )?note\s*:?\s*(?:that|the|this|these|i|all)\b|explanation\s*:|is there anything\b"
    r"|(?:this|each|the) (?:caption|prompt)s? (?:captures?|describes?|reflects?|evokes?|conveys?|aims?|avoids?|is|are|was|should)\b"
    r"|(?:these|all) (?:prompts|captions)\b|[-=*_]{3,}$)",
    re.IGNORECASE,
)
_LOOKED_AT = 500  # characters of a line: a courtesy says early that it is one


def unframed(text: str) -> str:
    """An answer without what is said around it. What has no frame comes back as it is.

    Raises:
        NoTextError: reasoning in words, and no answer after it.
    """
    text = _NEXT_TURN.sub("", _OWN_ROLE.sub("", _ECHO.sub("", text)))
    if reasoning := _REASONING.search(text):
        answer = _UP_TO_THE_ANSWER.sub("", text)
        line = text[reasoning.end() :].strip().partition("\n")[0]
        if not answer.strip() or (answer == text and ("\n\n" in text or _ANOTHER_SENTENCE.search(line))):
            # else, in one sentence, it may be what is seen
            raise NoTextError(f"reasoning without an answer ({text.strip()[:60]!r})")
        text = answer
    if box := _BOX.search(text):
        text = box.group(1)
    text = _TEXT_IN_A_BOX.sub(r"\1", text)
    return _without_courtesies(text).strip()


def texts_in_json(text: str) -> list[str] | None:
    """The texts of an answer that is JSON, e.g. `{"caption": "A dog runs."}` or `["a dog", "a cat"]`; None where it is not JSON.

    Raises:
        NoTextError: it looks like JSON, and no texts alone can be found in it.
    """
    inner = _JSON.sub("", FENCE.sub(r"\1", text.strip()).strip())
    if not _OBJECT.match(inner) and not (_LIST.match(inner) and inner.endswith("]")):
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


_JSON = re.compile(r"\Ajson\s*:?\s*(?=[\[{])", re.IGNORECASE)
_OBJECT = re.compile(r"""\{\s*(?:["'][\w .-]+["']|\w+)\s*:|\{\s*\}""")
_LIST = re.compile(r"""\[\s*["'{\]]""")


def _without_courtesies(text: str) -> str:
    """Lines at both ends that speak to the asker come off, never the last line that is left."""
    lines = [line for line in text.splitlines() if line.strip()]
    found = len(lines)
    while len(lines) > 1 and _COURTESY_AFTER.search(lines[-1][:_LOOKED_AT]):
        lines.pop()
    if len(lines) > 1 and _COURTESY_BEFORE.search(lines[0][:_LOOKED_AT]):
        lines.pop(0)
    return text if len(lines) == found else "\n".join(lines)
