"""Captions from an OpenAI-compatible chat server with images: vLLM, `transformers serve`, llama.cpp, a hosted API."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

import openai
from openai import AsyncOpenAI

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, content_parts
from coemogen_core.captioning.failure import EndpointError, EndpointUnreachableError, FailureKind, failure
from coemogen_core.captioning.picture import data_url
from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
from coemogen_core.data.decode import UnreadableImage

PROBE_TIMEOUT_S = 10.0
MISCONFIGURED = (401, 403, 404)  # wrong key, no permission, no such model or path: true of every request, not of this picture


class ServerBackend:
    """Bounded concurrency over the async client, whose own retries (backoff with jitter, Retry-After) are the only retry layer."""

    def __init__(self, recipe: CaptionRecipe, settings: ServerSettings) -> None:
        self._recipe = recipe
        self._settings = settings

    def answer(self, chunks: Iterable[list[CaptionRequest]]) -> Iterator[list[CaptionAnswer]]:
        """See `CaptionBackend.answer`. Must not be called from inside a running event loop.

        Raises:
            EndpointUnreachableError: nothing answers at the endpoint, now or after a request's last retry.
            EndpointError: the server does not serve this model, or refuses the key.
        """
        with asyncio.Runner() as runner:
            stream = self._stream(chunks)

            async def following() -> list[CaptionAnswer] | None:
                return await anext(stream, None)

            async def close() -> None:
                await stream.aclose()

            try:
                while (answers := runner.run(following())) is not None:
                    yield answers
            finally:
                runner.run(close())

    async def _stream(self, chunks: Iterable[list[CaptionRequest]]) -> AsyncGenerator[list[CaptionAnswer], None]:
        """Answers chunk by chunk; enough chunks are in flight to keep `concurrency` requests busy while the oldest one finishes."""
        client = AsyncOpenAI(
            base_url=self._settings.endpoint,
            api_key=os.environ.get(self._settings.api_key_variable) or "none",
            timeout=self._settings.timeout_s,
            max_retries=self._settings.max_retries,
        )
        source = iter(chunks)
        slots = asyncio.Semaphore(self._settings.concurrency)
        in_flight: deque[asyncio.Task[list[CaptionAnswer]]] = deque()
        sizes: deque[int] = deque()
        async with client:
            await self._check_endpoint(client)
            try:
                while True:
                    while not sizes or sum(sizes) - sizes[0] < 2 * self._settings.concurrency:
                        chunk = await asyncio.to_thread(next, source, None)
                        if chunk is None:
                            break
                        in_flight.append(asyncio.create_task(self._answer_chunk(client, chunk, slots)))
                        sizes.append(len(chunk))
                    if not in_flight:
                        return
                    sizes.popleft()
                    yield await in_flight.popleft()
            finally:
                for task in in_flight:
                    task.cancel()
                await asyncio.gather(*in_flight, return_exceptions=True)

    async def _answer_chunk(self, client: AsyncOpenAI, chunk: list[CaptionRequest], slots: asyncio.Semaphore) -> list[CaptionAnswer]:
        pictures = await asyncio.to_thread(lambda: [self._data_url(request) for request in chunk])
        tasks = [asyncio.create_task(self._ask(client, request, url, slots)) for request, url in zip(chunk, pictures, strict=True)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def _data_url(self, request: CaptionRequest) -> str | UnreadableImage:
        try:
            return data_url(request.image, self._recipe.max_pixels)
        except UnreadableImage as error:
            return error

    async def _ask(
        self, client: AsyncOpenAI, request: CaptionRequest, picture: str | UnreadableImage, slots: asyncio.Semaphore
    ) -> CaptionAnswer:
        if isinstance(picture, UnreadableImage):
            return CaptionAnswer(request.image_id, error=failure("unreadable image", str(picture)))
        async with slots:
            started = time.perf_counter()
            try:
                completion = await client.chat.completions.create(**self._body(request, picture))
            except Exception as error:
                text = await self._error_text(client, error)
                return CaptionAnswer(request.image_id, error=text, latency_s=time.perf_counter() - started)
        return _read_completion(request.image_id, completion, time.perf_counter() - started)

    def _body(self, request: CaptionRequest, picture: str) -> dict[str, Any]:
        content = content_parts(request, {"type": "image_url", "image_url": {"url": picture}})
        seed = {} if self._recipe.deterministic else {"seed": request.seed}
        return {
            "model": self._recipe.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._recipe.max_new_tokens,
            "temperature": self._recipe.temperature,
            **seed,
        }

    async def _error_text(self, client: AsyncOpenAI, error: Exception) -> str:
        """Text of the `error` column for what ended a request after its last retry; raises what concerns the whole endpoint."""
        if isinstance(error, openai.APITimeoutError):
            return failure("timeout", f"no answer within {self._settings.timeout_s:g} s, {self._settings.max_retries} retries")
        if isinstance(error, openai.APIStatusError):
            if error.status_code in MISCONFIGURED:
                raise self._misconfigured(error) from error
            kind: FailureKind = "server" if error.status_code >= 500 or error.status_code in (408, 409, 429) else "refused"
            return failure(kind, f"HTTP {error.status_code} {_reason(error)}")
        if isinstance(error, openai.APIConnectionError):
            await self._check_endpoint(client)
            return failure("server", f"connection lost: {error.__cause__ or error}")
        if isinstance(error, openai.APIError | ValueError):
            return failure("server", f"the answer is not JSON of a chat completion: {error}")
        raise error

    async def _check_endpoint(self, client: AsyncOpenAI) -> None:
        """One look at the list of models: is anyone there, and is our model served?"""
        try:
            page = await client.with_options(timeout=min(PROBE_TIMEOUT_S, self._settings.timeout_s), max_retries=0).models.list()
            served = [model.id for model in page.data]
        except openai.APIConnectionError as error:
            raise EndpointUnreachableError(
                f"no captioner answers at {self._settings.endpoint} ({error.__cause__ or error}): start one, for example "
                f"`vllm serve {self._recipe.model} --host 127.0.0.1 --port 8000`, correct `endpoint`, or choose backend=local"
            ) from error
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise self._misconfigured(error) from error
            return  # not every server lists its models
        except Exception:  # someone is there, whatever it answered
            return
        if served and self._recipe.model not in served:
            raise EndpointError(
                f"{self._settings.endpoint} does not serve {self._recipe.model!r} but {', '.join(served[:5])}: "
                "set the recipe's `model` to the served name"
            )

    def _misconfigured(self, error: openai.APIStatusError) -> EndpointError:
        return EndpointError(
            f"{self._settings.endpoint} answered HTTP {error.status_code} for model {self._recipe.model!r} ({_reason(error)}): "
            f"check `model`, `endpoint` (it ends in /v1) and the key in ${self._settings.api_key_variable}"
        )


def _read_completion(image_id: str, completion: Any, seconds: float) -> CaptionAnswer:
    try:
        choice = completion.choices[0]
        text, finish_reason = choice.message.content, choice.finish_reason
        usage = completion.usage
    except (AttributeError, IndexError, TypeError):
        return CaptionAnswer(image_id, error=failure("server", "the answer is not a chat completion with a choice"), latency_s=seconds)
    if text is not None and not isinstance(text, str):
        return CaptionAnswer(image_id, error=failure("server", "the answer's content is not text"), latency_s=seconds)
    return CaptionAnswer(
        image_id,
        text=text or "",
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        latency_s=seconds,
        finish_reason=finish_reason if isinstance(finish_reason, str) else None,
    )


def _count(usage: Any, name: str) -> int | None:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value >= 0 else None


def _reason(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error.response.text or error.response.reason_phrase)[:300]
