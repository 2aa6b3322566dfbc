"""What arrives with HTTP 200 is read before it is believed."""

import json
import re

import pytest
from werkzeug import Response

from coemogen_core.captioning.attempts import read_attempts
from coemogen_core.captioning.backend import EndpointError
from coemogen_core.captioning.caption_part import caption_part
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.prompt_writing import PromptWriter, write_prompts
from tests.coemogen_core.captioning.corpus import PART, SOURCE, jpeg, write_images
from tests.coemogen_core.captioning.stub_server import MODEL
from tests.coemogen_core.captioning.test_answer_form import ANSWER
from tests.reports.server_answers import DRESSED, NO_CAPTION, SENTENCE, error_in_200, said

OBJECT = json.dumps(ANSWER)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr("coemogen_core.captioning.server.client.FIRST_BACKOFF_S", 1e-6)


def caption(workspace, stub, response, recipe: CaptionRecipe, pictures: int = 1, **changed):
    """The attempts after one run against a server that gives this answer to everybody."""
    wanted = write_images(workspace, [jpeg(index) for index in range(pictures)])
    stub.misbehave = lambda image_id, number: response
    settings = ServerSettings(endpoints=(stub.endpoint,), max_retries=2, **changed)
    caption_part(workspace, SOURCE, PART, wanted, recipe, settings)
    return read_attempts(workspace, SOURCE, PART, recipe.recipe_id("server"))


@pytest.mark.parametrize("how", DRESSED)
def test_a_caption_is_clean_however_it_comes(workspace, stub, how):
    (caption_of,) = caption(workspace, stub, DRESSED[how](SENTENCE), CaptionRecipe(model=MODEL))["caption"]
    assert caption_of == SENTENCE


STRUCTURED = {
    "plain": OBJECT,
    "fenced": f"```json\n{OBJECT}\n```",
    "fenced after a sentence": f"Here is the object you asked for:\n```json\n{OBJECT}\n```\nLet me know!",
    "after reasoning": f'<think>I need {{"brightness": ...}}</think>\n{OBJECT}',
    "in a box": f"<|begin_of_box|>{OBJECT}<|end_of_box|>",
    "after a draft": f'First {{"caption": "a dog"}}, then {OBJECT}',
    "in another object": json.dumps({"answer": ANSWER}),
    "as the arguments of a tool": f"<tool_call>{json.dumps({'name': 'caption', 'arguments': json.dumps(ANSWER)})}</tool_call>",
    "with a key that nobody asked for": json.dumps(ANSWER | {"confidence": 0.9}),
    "before a turn's end": f"{OBJECT}<|eot_id|>",
}


@pytest.mark.parametrize("how", STRUCTURED)
def test_the_object_is_found_where_it_is(workspace, stub, how):
    rows = caption(workspace, stub, said(STRUCTURED[how]), CaptionRecipe(model=MODEL, answer="structured.v1"))
    assert rows["caption"].to_list() == [ANSWER["caption"]]
    assert rows["fields"][0]["scene"] == ANSWER["scene"]


@pytest.mark.parametrize("how", NO_CAPTION)
def test_what_is_no_caption_says_why_in_the_servers_words_and_is_asked_again(workspace, stub, how):
    response, error = NO_CAPTION[how]
    rows = caption(workspace, stub, response, CaptionRecipe(model=MODEL))
    assert rows["caption"].to_list() == [None]
    assert re.match(error, rows["error"][0]), rows["error"][0]
    stub.reset()
    settled = caption(workspace, stub, None, CaptionRecipe(model=MODEL))
    assert settled["caption"].drop_nulls().len() == 1


def test_a_refusal_in_a_part_of_its_own_is_the_models(workspace, stub):
    rows = caption(workspace, stub, said([{"type": "refusal", "refusal": "no faces"}]), CaptionRecipe(model=MODEL))
    assert rows["error"].to_list() == ["rejected: refusal ('no faces')"]


@pytest.mark.parametrize(("code", "kind"), [(401, "key"), ("invalid_api_key", "key"), ("model_not_found", "model")])
def test_an_error_in_a_200_that_nobody_can_escape_stops_the_run(workspace, stub, code, kind):
    with pytest.raises(EndpointError, match=f"no such {kind}"):
        caption(workspace, stub, error_in_200({"message": f"no such {kind}", "code": code}), CaptionRecipe(model=MODEL))


class TestWritePrompts:
    """The same server writes the prompts of a baseline."""

    @pytest.fixture
    def writer(self, stub) -> PromptWriter:
        return PromptWriter(endpoint=stub.endpoint, model=MODEL, count=2)

    def test_thoughts_and_courtesies_are_no_prompts(self, stub, writer, tmp_path):
        text = (
            "<think>I need two prompts.\n1. maybe a dog</think>Sure! Here are 2 short prompts:\n\n"
            "1. **a dog in a park**\n(2) “a cat on a roof”\n\nLet me know if you want more!"
        )
        stub.misbehave = lambda image_id, number: said(text)
        assert set(write_prompts(writer, tmp_path / "a.toml").prompts.values()) == {("a dog in a park", "a cat on a roof")}

    @pytest.mark.parametrize(
        "text",
        [
            "Absolutely!\nPrompt 1: a dog in a park\nPrompt 2: a cat on a roof\nHope this helps!",
            "a. a dog in a park\nb. a cat on a roof",
            "```\na dog in a park\na cat on a roof\n```",
            'Here you go:\n["a dog in a park", "a cat on a roof"]',
            '{"prompts": ["a dog in a park", "a cat on a roof"]}',
            "Thinking...\nA dog. A cat.\n...done thinking.\n\n1) a dog in a park\n2) a cat on a roof",
            "assistant\n\n- a dog in a park\n- a cat on a roof\n---\nNote: these prompts name no emotion.",
        ],
    )
    def test_prompts_are_found_whatever_is_around_them(self, stub, writer, tmp_path, text):
        stub.misbehave = lambda image_id, number: said(text)
        assert set(write_prompts(writer, tmp_path / "a.toml").prompts.values()) == {("a dog in a park", "a cat on a roof")}

    def test_a_prompt_may_begin_like_a_courtesy(self, stub, writer, tmp_path):
        stub.misbehave = lambda image_id, number: said("Great Danes in a park\nNotes of a piano in the rain\nHere is where two rivers meet")
        found = write_prompts(writer.model_copy(update={"count": 3}), tmp_path / "a.toml").prompts
        assert set(found.values()) == {("Great Danes in a park", "Notes of a piano in the rain", "Here is where two rivers meet")}

    def test_half_a_prompt_is_none(self, stub, writer, tmp_path):
        stub.misbehave = lambda image_id, number: said("a dog in a park\na cat on a roof\na horse on the", "length")
        found = write_prompts(writer, tmp_path / "a.toml").prompts
        assert list(found) == list(EMOTIONS)
        assert set(found.values()) == {("a dog in a park", "a cat on a roof")}

    @pytest.mark.parametrize(
        ("response", "words"),
        [
            (error_in_200({"message": "no such model", "code": 404}), "HTTP 200 with error 404: no such model"),
            (error_in_200("down"), "HTTP 200 with error 500: down"),
            (said("a dog", "content_filter"), "filtered by the server"),
            (said("<think>a dog"), "reasoning without an end"),
            (Response("<html><title>Bad gateway</title></html>", 200), "the answer is not JSON"),
        ],
    )
    def test_what_went_wrong_is_said(self, stub, writer, tmp_path, response, words):
        stub.misbehave = lambda image_id, number: response
        with pytest.raises((ConnectionError, ValueError), match=words):
            write_prompts(writer, tmp_path / "a.toml")
        assert not (tmp_path / "a.toml").exists()
