import json

import pytest

from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.judge import judge_answer
from tests.coemogen_core.captioning.test_answer_form import ANSWER


def test_a_sentence_is_cleaned_and_kept():
    assert judge_answer(CaptionAnswer("a", asked_at=0.0, text=' "A dog runs."\n', finish_reason="stop"), "sentence", 1, 64) == (
        "A dog runs.",
        None,
        None,
    )


def test_a_structured_answer_gives_caption_and_fields():
    verdict = judge_answer(CaptionAnswer("a", asked_at=0.0, text=json.dumps(ANSWER)), "structured.v1", 1, 64)
    assert verdict.caption == ANSWER["caption"]
    assert verdict.fields is not None
    assert verdict.fields.scene == "graveyard"
    assert verdict.error is None


@pytest.mark.parametrize(
    ("answer", "form", "error"),
    [
        (CaptionAnswer("a", asked_at=0.0, error="timeout: 5 s"), "sentence", "timeout: 5 s"),
        (CaptionAnswer("a", asked_at=0.0), "sentence", "server: neither"),
        (CaptionAnswer("a", asked_at=0.0, text=""), "structured.v1", "malformed: no text"),
        (
            CaptionAnswer("a", asked_at=0.0, text="A dog in", finish_reason="length"),
            "sentence",
            "rejected: cut off at max_new_tokens ('A dog in')",
        ),
        (CaptionAnswer("a", asked_at=0.0, text="A dog."), "structured.v1", "malformed: no JSON object"),
        (
            CaptionAnswer("a", asked_at=0.0, text=json.dumps(ANSWER | {"caption": "I'm sorry, I can't."})),
            "structured.v1",
            "rejected: refusal",
        ),
        (CaptionAnswer("a", asked_at=0.0, text="Ein trauriger Hund im dunklen Wald."), "sentence", "rejected: not English (de"),
    ],
)
def test_what_is_no_caption_says_why(answer, form, error):
    verdict = judge_answer(answer, form, 1, 64)
    assert (verdict.caption, verdict.fields) == (None, None)
    assert verdict.error.startswith(error)
