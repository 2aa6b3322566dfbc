"""What a captioner is asked: a prompt, and the form of the answer: a plain sentence, or a JSON object held to a schema by guided decoding.

Prompts and forms are versioned files in `prompts/` and `answer_forms/`, named `<name>.v<version>`; a published file is never edited, a new
version is added. The production prompt gives the emotion as a prior, names EmoSet's six attribute kinds and asks for one sentence (paper,
section on the training corpus). The four combinations of its ablation are `prior-short`, `plain-short`, `prior-long` and `plain-long`.
"""

import json
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from coemogen_core.emotions import Emotion
from coemogen_core.errors import CoEmoGenError
from schemas.frozen_model import FrozenModel

PROMPT_FOLDER = files("coemogen_core.captioning") / "prompts"
FORM_FOLDER = files("coemogen_core.captioning") / "answer_forms"
MAX_TRIES = 100  # braces of an answer at which an object is looked for
SENTENCE = "sentence"
"""The form that needs no file: free text."""


class Prompt(FrozenModel):
    """One version of one prompt: fixed text first and the emotion last, so that a server can reuse the common beginning."""

    prompt_id: str = Field(pattern=r"^[a-z0-9-]+\.v[0-9]+$", description="name and version, e.g. prior-short.v1")
    instruction: str = Field(min_length=1, description="the fixed text, the same for every picture")
    prior: str | None = Field(default=None, description="the sentence that gives the emotion, with {emotion} in it; none in a plain prompt")
    max_sentences: int = Field(default=1, ge=1, description="an answer with more sentences is refused")

    @model_validator(mode="after")
    def _prior_names_the_emotion(self) -> "Prompt":
        if self.prior is not None and "{emotion}" not in self.prior:
            raise ValueError(f"prompt {self.prompt_id}: `prior` must contain {{emotion}}")
        return self

    def parts(self, emotion: Emotion | None) -> tuple[str, str]:
        """The fixed instruction, and the prior with the emotion in it (empty in a plain prompt).

        Raises:
            ValueError: the prompt needs an emotion and got none.
        """
        if self.prior is None:
            return self.instruction, ""
        if emotion is None:
            raise ValueError(f"prompt {self.prompt_id} gives the emotion as a prior, but the picture has none: use a plain prompt")
        return self.instruction, self.prior.format(emotion=emotion)

    def render(self, emotion: Emotion | None) -> str:
        """The whole text of the request: the instruction, then the prior. Raises ValueError like `parts`."""
        return " ".join(part for part in self.parts(emotion) if part)


def prompt_ids() -> list[str]:
    """Ids of all prompts that come with the package, sorted."""
    return _file_ids(PROMPT_FOLDER)


@cache
def load_prompt(prompt_id: str) -> Prompt:
    """Read the prompt file of this id. Raises ValueError when there is no such prompt; the message lists those that exist."""
    known = prompt_ids()
    if prompt_id not in known:
        raise ValueError(f"unknown prompt {prompt_id!r}; expected one of: {', '.join(known)} (files in coemogen_core/captioning/prompts)")
    return Prompt(prompt_id=prompt_id, **_read(PROMPT_FOLDER, prompt_id))


def _length(longest: int) -> Any:
    """Bounds a text, generously, where it is written: a model that is unsure would go on until its tokens are spent, with half an object.

    Part of the schema alone: a server without guided decoding may write what it likes.
    """
    return Field(json_schema_extra={"minLength": 1, "maxLength": longest})


class CaptionFields(FrozenModel):
    """What a structured answer says besides the caption: EmoSet's attribute kinds, and what triggers the emotion."""

    brightness: Literal["very dark", "dark", "medium", "bright", "very bright"]
    colorfulness: Literal["black and white", "dull", "medium", "colorful", "very colorful"]
    scene: Annotated[str, _length(60)]
    objects: list[Annotated[str, _length(40)]] = Field(max_length=4)
    facial_expression: Annotated[str, _length(40)] | None
    human_action: Annotated[str, _length(60)] | None
    trigger: Annotated[str, _length(120)]


class _StructuredAnswer(CaptionFields):
    """The whole object, in the order in which a model writes it."""

    caption: Annotated[str, _length(500)]


class BrokenAnswerError(CoEmoGenError, ValueError):
    """A structured answer that is none; the message says what is wrong with it."""


def form_ids() -> list[str]:
    """Ids of all answer forms, sorted."""
    return sorted([SENTENCE, *_file_ids(FORM_FOLDER)])


@cache
def form_instruction(form_id: str) -> str:
    """The text that asks for this form; empty for a plain sentence. Raises ValueError when there is none such; the message lists them."""
    known = form_ids()
    if form_id not in known:
        raise ValueError(f"unknown answer form {form_id!r}; expected one of: {', '.join(known)} (coemogen_core/captioning/answer_forms)")
    return "" if form_id == SENTENCE else str(_read(FORM_FOLDER, form_id)["instruction"])


@cache
def answer_schema() -> dict[str, Any]:
    """JSON schema of a structured answer: every key required, none besides, in the order of writing."""
    whole = _StructuredAnswer.model_json_schema()
    properties = {name: {key: value for key, value in field.items() if key != "title"} for name, field in whole["properties"].items()}
    return {name: whole[name] for name in ("type", "required", "additionalProperties")} | {"properties": properties}


def response_format(form_id: str) -> dict[str, Any] | None:
    """The `response_format` of a chat request; None where the answer is free text."""
    if form_id == SENTENCE:
        return None
    return {"type": "json_schema", "json_schema": {"name": "caption", "schema": answer_schema(), "strict": True}}


def read_structured(text: str) -> tuple[str, CaptionFields]:
    """Caption and fields of a structured answer: of the last object in it that has the asked form.

    Servers without guided decoding write a Markdown fence around the object, a sentence before it, another object around it (the arguments
    of a tool, `{"answer": ...}`), or keys that nobody asked for.

    Raises:
        BrokenAnswerError: no JSON object in it, or none of this form.
    """
    problem = f"no JSON object in it (it begins {text.strip()[:60]!r})"
    for value in reversed(list(_objects(text))):
        try:
            answer = _StructuredAnswer.model_validate(_asked_keys(value))
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"not of the asked form ({'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']})"
        else:
            return answer.caption, CaptionFields(**answer.model_dump(exclude={"caption"}))
    raise BrokenAnswerError(problem)


def _asked_keys(value: dict[str, Any]) -> dict[str, Any]:
    """An object without the keys that nobody asked for, where it has any that was."""
    asked = {key: each for key, each in value.items() if key in _StructuredAnswer.model_fields}
    return asked or value


def _objects(text: str, inside: int = 2) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, from left to right; what is wrapped in one, or written as a text in it, before itself."""
    decoder, start, tries = json.JSONDecoder(), text.find("{"), 0
    while start >= 0 and (tries := tries + 1) <= MAX_TRIES:
        try:
            value, end = decoder.raw_decode(text, start)
            for inner in value.values() if inside else ():
                yield from _objects(inner if isinstance(inner, str) else json.dumps(inner), inside - 1)
            yield value
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find("{", end)


def _file_ids(folder: Traversable) -> list[str]:
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def _read(folder: Traversable, name: str) -> dict[str, Any]:
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
