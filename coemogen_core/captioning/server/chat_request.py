"""The JSON of one caption request, and what its answer says."""

from typing import Any

import orjson

from coemogen_core.captioning.answer_form import response_format
from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, content_parts
from coemogen_core.captioning.failure import failure
from coemogen_core.captioning.picture import data_url
from coemogen_core.captioning.recipe import CaptionRecipe
from coemogen_core.errors import CoEmoGenError


class NoCompletionError(CoEmoGenError, ValueError):
    """A 200 whose body is no chat completion; the message says why."""


def request_body(request: CaptionRequest, recipe: CaptionRecipe, *, with_image_id: bool) -> bytes:
    """The request as it goes over the wire: built once, however often it is sent.

    Args:
        request: picture and text.
        recipe: model, answer form and sampling.
        with_image_id: give the picture a lasting id (`uuid`, an extension of vLLM), under which its server caches what it computed.

    Raises:
        UnreadableImage: the picture cannot be decoded.
    """
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": data_url(request.image, recipe.max_pixels)}}
    if with_image_id:
        image["uuid"] = f"{request.image_id}-{recipe.max_pixels}"
    body: dict[str, Any] = {
        "model": recipe.model,
        "messages": [{"role": "user", "content": content_parts(request, image)}],
        "max_tokens": recipe.max_new_tokens,
        "temperature": recipe.temperature,
    }
    if not recipe.deterministic:
        body["seed"] = request.seed
    form = response_format(recipe.answer)
    if form is not None:
        body["response_format"] = form
    return orjson.dumps(body)  # fifty times as fast as json, for a string of the size of a picture


def read_completion(image_id: str, content: bytes, seconds: float) -> CaptionAnswer:
    """The answer in a completion. Raises NoCompletionError when the content is no chat completion with exactly one choice."""
    try:
        completion = orjson.loads(content)
    except ValueError as error:
        raise NoCompletionError(f"the answer is not JSON ({error})") from error
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or len(choices) != 1:
        raise NoCompletionError("the answer is not a chat completion with one choice")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise NoCompletionError("the answer's choice has no message")
    text, usage, finish_reason = message.get("content"), completion.get("usage"), choice.get("finish_reason")
    if text is not None and not isinstance(text, str):
        raise NoCompletionError("the answer's content is not text")
    refusal = message.get("refusal")
    if not text and isinstance(refusal, str) and refusal:
        return CaptionAnswer(image_id, error=failure("rejected", f"refusal ({refusal[:60]!r})"), latency_s=seconds)
    return CaptionAnswer(
        image_id,
        text=text or "",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        latency_s=seconds,
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
    )


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**31 else None
