"""The form of an answer: a plain sentence, or a JSON object that a server's guided decoding holds to a schema.

Forms are versioned files in `answer_forms/`, like prompts: the text that asks for the form. `sentence` needs none.
"""

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coemogen_core.errors import CoEmoGenError

SENTENCE = "sentence"
FORM_FOLDER = files("coemogen_core.captioning") / "answer_forms"

Brightness = Literal["very dark", "dark", "medium", "bright", "very bright"]
Colorfulness = Literal["black and white", "dull", "medium", "colorful", "very colorful"]


class CaptionFields(BaseModel):
    """What a structured answer says besides the caption: EmoSet's attribute kinds, and what triggers the emotion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    brightness: Brightness
    colorfulness: Colorfulness
    scene: str
    objects: list[str] = Field(max_length=4)
    facial_expression: str | None
    human_action: str | None
    trigger: str


class StructuredAnswer(CaptionFields):
    """The whole object, in the order in which a model writes it."""

    caption: str


class BrokenAnswerError(CoEmoGenError, ValueError):
    """A structured answer that is none; the message says what is wrong with it."""


def form_ids() -> list[str]:
    """Ids of all answer forms, sorted."""
    return sorted([SENTENCE, *(file.name.removesuffix(".toml") for file in FORM_FOLDER.iterdir() if file.name.endswith(".toml"))])


@cache
def form_instruction(form_id: str) -> str:
    """The text that asks for this form; empty for a plain sentence.

    Raises:
        ValueError: there is no such form; the message lists those that exist.
    """
    if form_id == SENTENCE:
        return ""
    if form_id not in form_ids():
        raise ValueError(
            f"unknown answer form {form_id!r}; expected one of: {', '.join(form_ids())} (coemogen_core/captioning/answer_forms)"
        )
    return str(tomllib.loads((FORM_FOLDER / f"{form_id}.toml").read_text(encoding="utf-8"))["instruction"])


@cache
def answer_schema() -> dict[str, Any]:
    """JSON schema of a structured answer: every key required, none besides, in the order of writing.

    Texts are bounded, generously: a model that is unsure would write on until its tokens are spent, which leaves half an object.
    """
    properties: dict[str, Any] = {
        "brightness": {"type": "string", "enum": list(Brightness.__args__)},  # type: ignore[attr-defined]
        "colorfulness": {"type": "string", "enum": list(Colorfulness.__args__)},  # type: ignore[attr-defined]
        "scene": _text(60),
        "objects": {"type": "array", "items": _text(40), "maxItems": 4},
        "facial_expression": {"anyOf": [_text(40), {"type": "null"}]},
        "human_action": {"anyOf": [_text(60), {"type": "null"}]},
        "trigger": _text(120),
        "caption": _text(500),
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def response_format(form_id: str) -> dict[str, Any] | None:
    """The `response_format` of a chat request; None where the answer is free text."""
    if form_id == SENTENCE:
        return None
    return {"type": "json_schema", "json_schema": {"name": "caption", "schema": answer_schema(), "strict": True}}


def read_structured(text: str) -> tuple[str, CaptionFields]:
    """Caption and fields of a structured answer; a Markdown fence around it, as servers without guided decoding write, is taken off.

    Raises:
        BrokenAnswerError: not JSON, or not of this form.
    """
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        value = json.loads(bare)
    except ValueError as error:
        raise BrokenAnswerError(f"not JSON ({error}; it begins {bare[:60]!r})") from error
    try:
        answer = StructuredAnswer.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        raise BrokenAnswerError(f"not of the asked form ({'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']})") from error
    return answer.caption, CaptionFields(**answer.model_dump(exclude={"caption"}))
