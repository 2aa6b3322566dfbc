"""Whether an answer is a caption: its form, its length, its words. An answer that is none is a failed attempt with a reason."""

from typing import NamedTuple

from coemogen_core.captioning.answer_form import SENTENCE, BrokenAnswerError, CaptionFields, read_structured
from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.caption_text import clean_caption, lint_caption
from coemogen_core.captioning.failure import failure


class Verdict(NamedTuple):
    """A caption, with fields where the answer was structured; or an error."""

    caption: str | None
    fields: CaptionFields | None
    error: str | None


def judge_answer(answer: CaptionAnswer, form_id: str, max_sentences: int) -> Verdict:
    """Read an answer.

    Args:
        answer: what the captioner gave.
        form_id: the form it was asked for.
        max_sentences: how many sentences the prompt allows the caption.
    """
    if answer.error is not None or answer.text is None:
        return Verdict(None, None, answer.error or failure("server", "neither an answer nor an error"))
    text, fields = answer.text, None
    if answer.finish_reason == "length":
        return Verdict(None, None, failure("rejected", f"cut off at max_new_tokens ({answer.text[:60]!r})"))
    if form_id != SENTENCE and text.strip():
        try:
            text, fields = read_structured(text)
        except BrokenAnswerError as error:
            return Verdict(None, None, failure("rejected", str(error)))
    caption = clean_caption(text)
    reason = lint_caption(caption, max_sentences)
    return Verdict(None, None, failure("rejected", reason)) if reason else Verdict(caption, fields, None)
