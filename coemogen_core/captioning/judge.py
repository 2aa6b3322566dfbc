"""Whether an answer is a caption: its form, its length, its words. An answer that is none is a failed attempt with a reason."""

import re
from functools import cache
from typing import NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from coemogen_core.captioning.answer_frame import texts_in_json, unframed
from coemogen_core.captioning.backend import CaptionAnswer, FailureKind, failure
from coemogen_core.captioning.model_text import NoTextError, readable_text, without_marks
from coemogen_core.captioning.plain_line import QUOTES, clean_caption
from coemogen_core.captioning.prompt import SENTENCE, BrokenAnswerError, CaptionFields, read_structured

SURELY_ANOTHER = 0.5  # least probability of the language that it is taken for instead
SURELY_NOT = 0.01
"""Probability of English below which a caption is turned down. Low on purpose: naive Bayes is unsure of short captions ("a cupcake" 0.02,
"a car in a desert" 0.08) and sure of foreign ones ("Ein Hund im Wald" 0.005, longer ones 1e-4 and less)."""
ENGLISH_ALONE = re.compile(r"\b(?:the|and|with|(?:in|on|of|at|by|for|from|near|over|under|beside|through|against) an?)\b", re.IGNORECASE)
"""Words that settle it without asking (thirty microseconds each, at thousands of captions a second); only beside Latin letters."""


LONGEST_CAPTION = 2**12  # characters: CLIP's text encoder reads three hundred


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


_ABBREVIATION = re.compile(
    r"mrs?|ms|dr|st|vs|etc|jr|sr|approx|mt|ft|gen|capt|prof|lt|sgt|col|rev|ave|blvd|inc|ltd|co|(?:[a-z]\.)+[a-z]", re.IGNORECASE
)
_INITIAL = re.compile(r"[A-Z]")
_NUMBERED = re.compile(r"No|Nr", re.IGNORECASE)  # "No. 7"
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$)")
_REFUSAL = re.compile(
    r"^(?:(?:i'm|i am|we're|we are)\s+(?:(?:very|so|really) )?(?:sorry|unable|afraid|not able)\b"
    r"|(?:i|we)\s+(?:can(?:not|'t| not)|could(?:n't| not)|won't|do(?:n't| not))\b"
    r"|sorry\b|unfortunately\b(?=,| i\b| we\b)|my apologies\b|i apologi[sz]e\b"
    r"|as an? (?:ai|artificial intelligence|(?:large )?language model|assistant)\b)",
    re.IGNORECASE,
)
_PICTURES = r"(?:image|picture|photo|photograph|painting|artwork|scene)"
_BOILERPLATE = re.compile(
    r"^(?:sure|certainly|of course|here is|here's)(?:[^\w-]|$)|^i (?:can )?see\b"
    rf"|^(?:in )?(?:the|this|an)\s+(?:\w+ )?{_PICTURES}\s+(?:clearly |vividly |here )?"
    r"(?:shows?|showing|depicts?|depicting|displays?|portrays?|presents?|features?|contains?|illustrates?|captures?|conveys?"
    r"|is of|is showing)\b"
    rf"|^this is an? (?:\w+ )?{_PICTURES} (?:of|with|that|which|showing|depicting)\b"
    rf"|^in (?:the|this) (?:\w+ )?{_PICTURES}(?=\s*,|\s+(?:we|you|i|there|there's|one|is|are|an?|the)\b)",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"\A\W*(?:(?:none|null|nil|n/?a|nan|undefined|object object|string|text|caption|description|answer|true|false"
    r"|internal server error|bad gateway|service unavailable|gateway time-?out)\W*\Z|error\s*(?::|\d))",
    re.IGNORECASE,
)
"""What templates and gateways write where there is nothing."""
_QUOTED_FIRST = re.compile(r"^[\"“«„'‘][^\"”»“]{1,200}[\"”»“'’]\s+\w")  # a sign's or a speaker's words, not the model's own


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
    if _REFUSAL.search(plain) and not _QUOTED_FIRST.search(caption):
        return f"refusal ({_beginning(caption)})"
    if _BOILERPLATE.search(plain):
        return f"boilerplate ({_beginning(caption)})"
    if count_sentences(caption) > max_sentences:
        return "more than one sentence" if max_sentences == 1 else f"more than {max_sentences} sentences"
    language = foreign_language(caption)
    return f"not English ({language}: {_beginning(caption)})" if language else None


def _goes_on(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether the sentence that began at `start` goes on after this mark."""
    after = text[end.end() : end.end() + 2].lstrip()
    if end.group() == ".":
        said = text[start : end.start()].strip()
        last_word = said.rsplit(" ", 1)[-1].lstrip("(" + QUOTES)
        known = _ABBREVIATION.fullmatch(last_word) or _INITIAL.fullmatch(last_word)
        ordinal = said.isdigit()  # "2. Bundesliga"; a number at the end of a sentence ends it
        return bool(known or ordinal or (_NUMBERED.fullmatch(last_word) and after[:1].isdigit()))
    return after[:1].islower()  # "The Yahoo! sign", "a man... waits", '"Stop!" says the sign'


def _beginning(caption: str) -> str:
    return f"{caption[:60]!r}"


class JudgedAnswer(NamedTuple):
    """A caption, with fields where the answer was structured; or an error."""

    caption: str | None
    fields: CaptionFields | None
    error: str | None


def judge_answer(
    answer: CaptionAnswer, form_id: str, max_sentences: int, max_new_tokens: int, of_the_form: FailureKind = "malformed"
) -> JudgedAnswer:
    """Read an answer that was asked for in a form, with so many sentences allowed.

    Args:
        max_new_tokens: how long it was allowed to be. One that was cut off earlier hit a limit of the server.
        of_the_form: the kind of a failure that lies in the answer's form: a server's settings may mend it, a model in this process answers
            the same again (`rejected`).
    """
    if answer.error is not None or answer.text is None:
        return JudgedAnswer(None, None, answer.error or failure("server", "neither an answer nor an error"))
    try:
        text, fields = without_marks(answer.text), None
        if answer.finish_reason == "length":
            return JudgedAnswer(None, None, _cut_off(answer, max_new_tokens, of_the_form))
        if not text:
            raise NoTextError("no text")
        if form_id != SENTENCE:
            text, fields = read_structured(text)
        text = _sentence_in(readable_text(text))
    except (NoTextError, BrokenAnswerError) as error:
        return JudgedAnswer(None, None, failure(of_the_form, str(error)))
    caption = clean_caption(text)
    reason = lint_caption(caption, max_sentences)
    if reason is None:
        return JudgedAnswer(caption, fields, None)
    # Paragraphs are reasoning, roles or notes, which a server's settings may take off; one paragraph that is too long is the model's way.
    of_the_server = "\n" in text.strip() and reason.startswith("more than")
    return JudgedAnswer(None, None, failure(of_the_form if of_the_server else "rejected", reason))


def _sentence_in(text: str) -> str:
    """What is said of the picture, out of what was written for the reader. Raises NoTextError where nothing or something else was."""
    text = unframed(text)
    texts = texts_in_json(text)
    if texts is None:
        texts = [text]
    if len(texts) != 1:
        raise NoTextError(f"{len(texts)} texts instead of one ({text[:60]!r})")
    if not texts[0].strip():
        raise NoTextError("no text")
    if _NOTHING.match(texts[0]):
        raise NoTextError(f"no caption but {texts[0].strip()[:60]!r}")
    if len(texts[0]) > LONGEST_CAPTION:
        raise NoTextError(f"a text of {len(texts[0]):,} characters ({texts[0][:60]!r})")
    return texts[0]


def _cut_off(answer: CaptionAnswer, max_new_tokens: int, of_the_form: FailureKind) -> str:
    tokens, text = answer.completion_tokens, (answer.text or "")[:60]
    if tokens and tokens < max_new_tokens:
        return failure(of_the_form, f"the server broke it off after {tokens} of {max_new_tokens} tokens: is its context full? ({text!r})")
    return failure("rejected", f"cut off at max_new_tokens ({text!r})")
