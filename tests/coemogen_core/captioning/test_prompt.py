import pytest

from coemogen_core.captioning.prompt import Prompt, load_prompt, prompt_ids
from coemogen_core.emotions import EMOTIONS

ABLATION = ["plain-long.v1", "plain-short.v1", "prior-long.v1", "prior-short.v1"]
ATTRIBUTES = ["brightness", "colorfulness", "scene type", "object class", "facial expression", "human action"]


def test_the_four_prompts_of_the_papers_ablation_are_there():
    assert set(ABLATION) <= set(prompt_ids())


@pytest.mark.parametrize("prompt_id", ABLATION)
def test_every_prompt_names_the_six_attribute_kinds(prompt_id):
    text = load_prompt(prompt_id).render("awe")
    assert all(attribute in text for attribute in ATTRIBUTES)


def test_short_prompts_are_short_and_ask_for_one_sentence():
    for prompt_id in ("prior-short.v1", "plain-short.v1"):
        prompt = load_prompt(prompt_id)
        assert prompt.max_sentences == 1
        assert "exactly one short sentence" in prompt.instruction
        assert len(prompt.render("awe").split()) <= 45


@pytest.mark.parametrize("prompt_id", ["prior-short.v1", "prior-long.v1"])
def test_prompts_with_a_prior_share_their_beginning_and_end_with_the_emotion(prompt_id):
    prompt = load_prompt(prompt_id)
    for emotion in EMOTIONS:
        text = prompt.render(emotion)
        assert text.startswith(prompt.instruction)
        assert text.endswith(f"This image evokes {emotion}.")


@pytest.mark.parametrize("prompt_id", ["plain-short.v1", "plain-long.v1"])
def test_plain_prompts_differ_from_the_others_by_the_prior_alone(prompt_id):
    plain, prior = load_prompt(prompt_id), load_prompt(prompt_id.replace("plain", "prior"))
    assert plain.render("awe") == plain.render(None) == prior.instruction
    assert not any(emotion in plain.render(None) for emotion in EMOTIONS)


def test_a_prior_without_an_emotion_is_refused():
    with pytest.raises(ValueError, match=r"prior-short\.v1 .* has none: use a plain prompt"):
        load_prompt("prior-short.v1").render(None)


def test_an_unknown_prompt_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"unknown prompt 'prior-short'; expected one of: .*prior-short\.v1"):
        load_prompt("prior-short")


def test_a_prior_must_name_the_emotion():
    with pytest.raises(ValueError, match=r"must contain \{emotion\}"):
        Prompt(prompt_id="new.v1", instruction="Describe.", prior="It feels so.")
