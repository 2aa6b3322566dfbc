"""What a model wrote for its reader, out of all that it wrote: without its reasoning, its control tokens and the tags around its answer.

A server with the right reasoning parser and chat template takes all of this off itself; gateways, and servers that lack a setting, do not.
"""

import html
import re
import unicodedata

from coemogen_core.errors import CoEmoGenError

_NAMES = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis|scratchpad)"
_REASONING_BEGINS = (
    rf"<\s?{_NAMES}\s?>|\[THINK\]|\[Start thinking\]|◁think▷|<\|(?:begin_of_thought|START_THINKING|inner_prefix|think)\|>"
    r"|<\|channel\|>\s*(?:analysis|commentary)[^<]*<\|message\|>|<\|channel>\s*thought"
    r"|\A\s*(?-i:analysis|commentary)(?-i:(?=[A-Z]))"  # a server that strips the channels' marks and keeps their names
)
_REASONING_ENDS = (
    rf"<\s?/\s?{_NAMES}\s?>|\[/THINK\]|\[End thinking\]|◁/think▷|<\|(?:end_of_thought|END_THINKING|inner_suffix|/think)\|>"
    r"|<\|channel\|>\s*final[^<]*<\|message\|>|<channel\|>|(?-i:assistantfinal|\A\s*final(?=[A-Z]))"
)
_BEGIN = re.compile(_REASONING_BEGINS, re.IGNORECASE)
_UP_TO_THE_LAST_END = re.compile(rf"\A.*(?:{_REASONING_ENDS})", re.IGNORECASE | re.DOTALL)
_TURN_ENDS = re.compile(
    r"<\|(?:im_end|endoftext|END_OF_TURN_TOKEN|end_of_text|eot_id|eom_id|end|return|eot|end_of_solution)\|>"
    r"|<｜end▁of▁sentence｜>|</s>|<eos>|<end_of_turn>|<turn\|>|\[EOS\]|\[/s\]\s*\Z|<\\s>\s*\Z|(?:</s|<\|(?:im_end|eot_id|endoftext)\|?)\Z",
    re.IGNORECASE,
)
_TURN_BEGINS = re.compile(
    r"(?:<\|(?:im_start|start|start_header_id)\|>|<start_of_turn>|<\|turn>)\s*(?:assistant|model)?\s*(?:<\|end_header_id\|>)?",
    re.IGNORECASE,
)
_CONTROL = re.compile(
    r"<\|(?:(?:begin|end)_of_(?:box|text|solution|image)|(?:START|END)_RESPONSE|(?:START_OF_TURN|CHATBOT)_TOKEN|assistant|image(?:_pad)?"
    r"|vision_(?:start|end|pad)|startoftext|message)\|>|<｜(?:Assistant|begin▁of▁sentence)｜>|<(?:s|bos|pad|unk|image)>|<0x0A>"
    r"|\s?\[\[\d+(?:, ?\d+){3}\]\]",
    re.IGNORECASE,
)
_BRACKETS = r"\[(?:BOS|PAD|UNK|CLS|SEP|IMG(?:_BREAK|_END)?)\]"
_CONTROL_AT_THE_ENDS = re.compile(rf"\A(?:\s*{_BRACKETS})+|(?:{_BRACKETS}\s*)+\Z")
"""Marks that carry nothing. What is not known here may be the edge of a model's thoughts, so it is not taken away but refused."""
_ANSWER_ENDS = re.compile(r"</(answer|caption|description|output|response|final)>", re.IGNORECASE)
_TAG = re.compile(
    r"\A\s*<[A-Za-z!?][^<>\n]{0,80}>|<[A-Za-z!?][^<>\n]{0,80}>\s*\Z|</[A-Za-z][^<>\n]{0,80}>"
    r"|\[/?THINK\]|◁/?[a-z]+▷|<\||\w\|>|<[A-Za-z]+\|>",
    re.IGNORECASE,
)
"""Marks that nobody knows; a word in angles amid a sentence may be on a sign or a key."""
_UNDECODED = re.compile(r"[Ġ▁]\w.*[Ġ▁]\w", re.DOTALL)  # of byte-level and SentencePiece vocabularies


LONGEST = 2**16
"""Characters of an answer that are read: more than any limit of tokens allows for a caption; patterns take their time with more."""


class NoTextError(CoEmoGenError, ValueError):
    """Nothing was written for the reader; the message says what was written instead."""


def readable_text(raw: str) -> str:
    """What is left for the reader. Text without any mark comes back as it is, but for blanks around it.

    Raises:
        NoTextError: reasoning that does not end, broken characters, or a mark that is none of those known here.
    """
    text = without_marks(raw)
    if tag := _TAG.search(text):
        raise NoTextError(f"a tag in the answer ({tag.group()[:40]!r} in {text[:60]!r})")
    if "\ufffd" in text or _UNDECODED.search(text):
        raise NoTextError(f"broken characters in the answer ({text[:60]!r})")
    return text


def without_marks(raw: str) -> str:
    """A text without its reasoning and without the marks that are known, whatever others may be left in it.

    Reasoning ends at its last end mark: templates that begin it themselves leave the end mark alone in the answer.

    Raises:
        NoTextError: reasoning that does not end, or an answer of more than `LONGEST` characters.
    """
    if len(raw) > LONGEST:
        raise NoTextError(f"an answer of {len(raw):,} characters ({raw.strip()[:60]!r})")
    text = _UP_TO_THE_LAST_END.sub("", _without_escapes(raw))
    if _BEGIN.search(text):
        raise NoTextError(f"reasoning without an end ({raw.strip()[:60]!r})")
    text = _TURN_BEGINS.sub(" ", text)
    text = next((each for each in _TURN_ENDS.split(text) if any(map(str.isalnum, each))), "")
    text = _CONTROL_AT_THE_ENDS.sub("", _CONTROL.sub(" ", text).strip())
    return _in_answer_tags(text).strip()


def _in_answer_tags(text: str) -> str:
    """What the last pair of `<answer>` and `</answer>` (or caption, final and so on) holds; without one, the text itself."""
    for end in reversed(list(_ANSWER_ENDS.finditer(text))[-8:]):
        begin = text.lower().rfind(f"<{end.group(1).lower()}>", 0, end.start())
        if begin >= 0:
            return text[begin + len(end.group(1)) + 2 : end.start()]
    return text


_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|lt|gt|amp|quot|apos|nbsp);", re.IGNORECASE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # a terminal's
_KEPT = "\n\t\u200c\u200d"
"""Of the characters without a shape: what parts lines and words, and what joins the letters of some scripts and some emoji."""


def _without_escapes(raw: str) -> str:
    """A text as it was before a gateway escaped it for HTML, without characters that have no shape: they break files and comparisons."""
    text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), raw).replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.isprintable():
        return text
    text = _COLOURS.sub("", text)
    return "".join(each for each in text if each in _KEPT or unicodedata.category(each) not in ("Cc", "Cf", "Cs"))
