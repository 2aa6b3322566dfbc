"""Captions from a model in this process: any image-text-to-text model of transformers with a chat template."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging as transformers_logging

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, Chunk, Sink, content_parts, failure
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings
from coemogen_core.data.decode import UnreadableImage
from coemogen_core.data.thumbnail import bounded_picture
from coemogen_core.device import resolve_device
from coemogen_core.storage.model_source import locate, opening

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in order, with up to `depth` of them computed in advance by one thread.

    The stream is only ever touched by that thread, so that a generator is safe; its exception is raised at the item that met it.
    """
    stream = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as thread:
        pending: deque[Future] = deque(thread.submit(next, stream, end) for _ in range(depth + 1))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, stream, end))
                yield item
        finally:
            for future in pending:
                future.cancel()


BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class LoadedCaptioner:
    """A model in evaluation mode with its processor, and the tokens that end an answer."""

    model: Any
    processor: Any
    device: torch.device
    end_tokens: tuple[int, ...]
    turn: threading.Lock = field(default_factory=threading.Lock)  # parts captioned by several threads take turns at the processor cores


@dataclass(frozen=True, slots=True)
class _Batch:
    requests: list[CaptionRequest]
    readable: list[CaptionRequest]
    inputs: Any  # the processor's output for the readable ones; None when there are none
    errors: dict[str, str]
    ended_chunk: Chunk | None  # the chunk that this batch is the last of


@cache
def load_captioner(model: str, revision: str | None, precision: str, device: str) -> LoadedCaptioner:
    """Load a captioner, a folder of a saved model or a hub id, once per process.

    Raises:
        ModelError: it cannot be opened.
        ValueError: its processor has no chat template.
    """
    target = resolve_device(device)
    # The Pillow path everywhere: the same pixels with and without torchvision.
    with opening(model):
        processor = AutoProcessor.from_pretrained(model, revision=revision, backend="pil")
    if not getattr(processor, "chat_template", None):
        raise ValueError(f"the processor of {model} has no chat template: use a model that was tuned for chat")
    processor.tokenizer.padding_side = "left"  # generation continues at the right end
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        with opening(model):
            network = AutoModelForImageTextToText.from_pretrained(model, revision=revision, dtype=getattr(torch, precision))
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
    ends = network.generation_config.eos_token_id
    end_tokens = tuple(ends) if isinstance(ends, list | tuple) else (() if ends is None else (ends,))
    return LoadedCaptioner(network.to(target).eval(), processor, target, end_tokens)


class SeededDraw(LogitsProcessor):
    """Makes the likeliest token a draw from softmax(scores / temperature), by Gumbel noise from a generator of its own for every row.

    So a sampled answer depends on its request's seed, not on what else is in the batch.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Noisy scores, float32 [rows, tokens]."""
        waits = torch.stack([torch.empty(scores.shape[1]).exponential_(generator=generator) for generator in self._generators])
        return scores.float() / self._temperature - waits.log().to(scores.device)


class LocalBackend:
    """Batched generation with left padding; pictures are decoded and processed in a thread while the model works."""

    remembers = False

    def __init__(self, recipe: CaptionRecipe, settings: LocalSettings) -> None:
        self._recipe = recipe
        self._batch_size = settings.batch_size
        self._captioner = load_captioner(locate(recipe.model), recipe.revision, recipe.precision, settings.device)
        self._generation = self._generation_config()

    def answer(self, chunks: Iterable[Chunk], sink: Sink) -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        """See `CaptionBackend.answer`. Batches divide a chunk evenly; a picture that cannot be decoded is an error, the rest go on."""
        answers: list[CaptionAnswer] = []
        for batch in read_ahead(self._prepared(chunks), BATCHES_AHEAD):
            done = self._answer_batch(batch)
            sink(done)
            answers += done
            if batch.ended_chunk is not None:
                yield batch.ended_chunk, answers
                answers = []

    def _prepared(self, chunks: Iterable[Chunk]) -> Iterator[_Batch]:
        for chunk in chunks:
            requests = chunk.requests
            size = math.ceil(len(requests) / math.ceil(len(requests) / self._batch_size))
            for start in range(0, len(requests), size):
                yield self._prepare(requests[start : start + size], chunk if start + size >= len(requests) else None)

    def _prepare(self, requests: list[CaptionRequest], ended_chunk: Chunk | None) -> _Batch:
        pictures: dict[str, Image.Image] = {}
        errors: dict[str, str] = {}
        for request in requests:
            try:
                pictures[request.image_id] = bounded_picture(request.image, self._recipe.max_pixels)
            except UnreadableImage as error:
                errors[request.image_id] = failure("unreadable image", str(error))
        readable = [request for request in requests if request.image_id in pictures]
        inputs = self._processed(readable, [[pictures[request.image_id]] for request in readable]) if readable else None
        return _Batch(requests, readable, inputs, errors, ended_chunk)

    def _processed(self, requests: list[CaptionRequest], images: list[list[Image.Image]]) -> Any:
        """The processor's tensors for a batch. A template that writes the beginning-of-text token itself must not get a second one."""
        processor = self._captioner.processor
        messages = [[{"role": "user", "content": content_parts(request, {"type": "image"})}] for request in requests]
        texts = [processor.apply_chat_template(message, add_generation_prompt=True, tokenize=False) for message in messages]
        begun = bool(processor.tokenizer.bos_token) and texts[0].startswith(processor.tokenizer.bos_token)
        return processor(text=texts, images=images, padding=True, return_tensors="pt", add_special_tokens=not begun)

    def _answer_batch(self, batch: _Batch) -> list[CaptionAnswer]:
        now = time.time()
        failed = {image_id: CaptionAnswer(image_id, error=error, asked_at=now) for image_id, error in batch.errors.items()}
        made = {answer.image_id: answer for answer in self._generate(batch)} if batch.readable else {}
        return [(made | failed)[request.image_id] for request in batch.requests]

    def _generate(self, batch: _Batch) -> list[CaptionAnswer]:
        captioner = self._captioner
        inputs = batch.inputs.to(captioner.device, captioner.model.dtype)
        with captioner.turn:
            asked_at, started = time.time(), time.perf_counter()
            tokens = self._generate_tokens(inputs, [request.seed for request in batch.readable])
            new_tokens = tokens[:, inputs["input_ids"].shape[1] :].cpu()
            seconds = time.perf_counter() - started
        texts = captioner.processor.batch_decode(new_tokens, skip_special_tokens=True)
        prompt_tokens = inputs["attention_mask"].sum(dim=1).tolist()
        answers = []
        for request, text, row, prompt_length in zip(batch.readable, texts, new_tokens, prompt_tokens, strict=True):
            length, ended = self._answer_length(row)
            answers.append(
                CaptionAnswer(
                    request.image_id,
                    text=text,
                    prompt_tokens=prompt_length,
                    completion_tokens=length,
                    latency_s=seconds,
                    finish_reason="stop" if ended else "length",
                    asked_at=asked_at,
                )
            )
        return answers

    def _generate_tokens(self, inputs: Any, seeds: Sequence[int]) -> torch.Tensor:
        draws = LogitsProcessorList([] if self._recipe.deterministic else [SeededDraw(seeds, self._recipe.temperature)])
        with torch.inference_mode():
            return self._captioner.model.generate(**inputs, generation_config=self._generation, logits_processor=draws)

    def _answer_length(self, tokens: torch.Tensor) -> tuple[int, bool]:
        """Number of generated tokens, the end token included, and whether there was one (the rest of the row is padding)."""
        ends = torch.isin(tokens, torch.tensor(self._captioner.end_tokens, dtype=tokens.dtype)).nonzero()
        return (int(ends[0]) + 1, True) if len(ends) else (len(tokens), False)

    def _generation_config(self) -> GenerationConfig:
        """The recipe's own settings only: a model's shipped defaults (top-p, repetition penalty) would change answers behind its back."""
        shipped = self._captioner.model.generation_config
        pad = shipped.pad_token_id if shipped.pad_token_id is not None else self._captioner.processor.tokenizer.pad_token_id
        return GenerationConfig(
            max_new_tokens=self._recipe.max_new_tokens,
            do_sample=False,  # a sampled answer is the likeliest after `SeededDraw`
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            pad_token_id=pad if pad is not None else (self._captioner.end_tokens or (0,))[0],
            bos_token_id=shipped.bos_token_id,
            eos_token_id=list(self._captioner.end_tokens) or None,
        )
