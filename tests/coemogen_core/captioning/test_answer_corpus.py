"""Captions and prompts stay as they are, and lose what is around them."""

import pytest

from coemogen_core.captioning.backend import CaptionAnswer
from coemogen_core.captioning.judge import JudgedAnswer, judge_answer
from coemogen_core.methods.prompt_writing import parse_lines
from tests.coemogen_core.captioning.answer_corpus import DRESSED, LISTS, NOTHING, PARAGRAPHS, PLAIN, PROMPTS, SENTENCE


def judged(text: str, max_sentences: int = 1) -> JudgedAnswer:
    return judge_answer(CaptionAnswer("i", asked_at=0.0, text=text, finish_reason="stop"), "sentence", max_sentences, 64)


@pytest.mark.parametrize("caption", PLAIN)
def test_a_plain_caption_stays_as_it_is(caption):
    assert judged(caption) == JudgedAnswer(caption, None, None)


@pytest.mark.parametrize("caption", PARAGRAPHS)
def test_every_paragraph_of_a_long_caption_counts(caption):
    assert judged(caption, max_sentences=8).caption == " ".join(caption.split())


@pytest.mark.parametrize("answer", DRESSED)
def test_a_dressed_caption_is_undressed(answer):
    assert judged(answer) == JudgedAnswer(SENTENCE, None, None)


@pytest.mark.parametrize("answer", NOTHING)
def test_what_stands_where_nothing_was_said_is_no_caption(answer):
    found = judged(answer)
    assert found.caption is None
    assert found.error is not None
    assert found.error.startswith("malformed")


@pytest.mark.parametrize("answer", LISTS)
def test_prompts_are_found(answer):
    assert parse_lines(answer) == ["a dog in a park", "a cat on a roof"]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_plain_prompt_stays_as_it_is(prompt, place):
    lines = ["a dog in a park", "a cat on a roof"]
    lines.insert(place, prompt)
    assert parse_lines("\n".join(lines)) == lines
    numbered = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
    assert parse_lines(numbered) == lines
