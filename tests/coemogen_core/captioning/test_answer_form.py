import json

import jsonschema
import pytest
from pydantic import ValidationError

from coemogen_core.captioning.prompt import (
    BrokenAnswerError,
    CaptionFields,
    answer_schema,
    form_ids,
    form_instruction,
    read_structured,
    response_format,
)
from coemogen_core.captioning.recipe import CaptionRecipe

ANSWER = {
    "brightness": "dark",
    "colorfulness": "dull",
    "scene": "graveyard",
    "objects": ["crow", "tree"],
    "facial_expression": None,
    "human_action": None,
    "trigger": "two gloomy crows",
    "caption": "two gloomy crows in a graveyard",
}


def test_a_structured_answer_is_a_caption_and_fields():
    caption, fields = read_structured(json.dumps(ANSWER))
    assert caption == ANSWER["caption"]
    assert fields == CaptionFields(**{name: value for name, value in ANSWER.items() if name != "caption"})


def test_what_the_schema_allows_is_what_is_read_and_the_other_way_round():
    jsonschema.Draft202012Validator.check_schema(answer_schema())
    jsonschema.validate(ANSWER, answer_schema())
    assert list(answer_schema()["properties"]) == [*CaptionFields.model_fields, "caption"]
    for wrong in (ANSWER | {"mood": "sad"}, ANSWER | {"brightness": "gloomy"}, ANSWER | {"objects": ["a"] * 5}, {"caption": "a"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, answer_schema())
        if wrong.keys() - ANSWER.keys():  # a server without guided decoding adds a key now and then
            assert read_structured(json.dumps(wrong)) == read_structured(json.dumps(ANSWER))
            continue
        with pytest.raises(BrokenAnswerError, match="not of the asked form"):
            read_structured(json.dumps(wrong))


def test_a_markdown_fence_is_taken_off():
    assert read_structured(f"```json\n{json.dumps(ANSWER, indent=2)}\n```")[0] == ANSWER["caption"]


@pytest.mark.parametrize("text", ["{not json", "two gloomy crows", '{"caption": "cut off in mid', "[]", "null"])
def test_anything_else_is_broken_and_says_how(text):
    with pytest.raises(BrokenAnswerError, match=r"no JSON object|not of the asked form"):
        read_structured(text)


def test_forms_are_files_and_only_json_is_guided():
    assert form_ids() == ["sentence", "structured.v1"]
    assert form_instruction("sentence") == ""
    assert response_format("sentence") is None
    assert response_format("structured.v1")["json_schema"]["schema"] == answer_schema()
    assert all(name in form_instruction("structured.v1") for name in answer_schema()["properties"])
    with pytest.raises(ValidationError, match=r"unknown answer form 'xml\.v1'; expected one of: sentence, structured\.v1"):
        CaptionRecipe(model="m", answer="xml.v1")
