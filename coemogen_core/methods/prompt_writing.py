"""Have a language model write the prompts of the baseline "sd-llm": from any OpenAI-compatible chat server, once, into a file."""

import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import openai
from pydantic import Field

from coemogen_core.captioning.answer_frame import texts_in_json, unframed
from coemogen_core.captioning.model_text import NoTextError, readable_text
from coemogen_core.captioning.plain_line import clean_caption
from coemogen_core.captioning.server.api_key import key_in_words, read_key
from coemogen_core.captioning.server.connections import client_of
from coemogen_core.captioning.server.outcome import RequestOutcome, outcome_of_response
from coemogen_core.device import Slot
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.methods.prompted import PromptFile, read_prompt_file, write_prompt_file
from schemas.frozen_model import FrozenModel
from schemas.server_url import VARIABLE_NAME, ServerUrl

REQUEST = (
    "Write {count} short prompts for an image generator, one a line, without numbers. "
    "Each describes one concrete scene that evokes {{emotion}}, in simple words, without naming the emotion."
)
LONGEST_PROMPT = 1000  # characters
TRIES = 3  # at an emotion, with another seed each, until there are enough different prompts


class PromptWriter(FrozenModel):
    """Who writes the prompts, and how many."""

    endpoint: ServerUrl = Field(default="http://127.0.0.1:8000/v1", description="base URL of the API: the captioner's will do")
    model: str = Field(min_length=1, description="name under which the server has the model")
    count: int = Field(default=10, ge=1, le=1000, description="prompts of every emotion")
    temperature: float = Field(default=0.7, ge=0.0, le=2.0, description="0 is greedy; some variety makes better prompts")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the sampling, where the server knows one")
    max_tokens: int = Field(default=1024, ge=16, le=65_536, description="longest answer in tokens")
    timeout_s: float = Field(default=120.0, gt=0, description="longest time to wait for an answer, in seconds")
    api_key_variable: str = Field(
        default="OPENAI_API_KEY", pattern=VARIABLE_NAME, description="environment variable with the key; most self-hosted servers need none"
    )

    @property
    def request(self) -> str:
        """What is asked, the emotion left open."""
        return REQUEST.format(count=self.count)


def write_prompts(writer: PromptWriter, file: Path, *, slot: Slot = nullcontext) -> PromptFile:
    """Ask for all emotions and write the file; where it is there already, nothing is asked.

    Raises:
        ValueError: the file holds prompts by another model or for another request, or the model wrote too few different ones,
            or the key cannot be sent.
        ConnectionError: the server does not answer, or refuses.
    """
    if file.exists():
        found = read_prompt_file(str(file))
        if (found.model, found.request) != (writer.model, writer.request):
            raise ValueError(f"{file} holds prompts by {found.model!r}, asked {found.request!r}: give another file, or remove it")
        return found
    key = read_key(writer.api_key_variable)
    http_client = client_of(writer.endpoint, writer.timeout_s)
    with slot(), openai.OpenAI(base_url=writer.endpoint, api_key=key, timeout=writer.timeout_s, http_client=http_client) as client:
        prompts = {emotion: _ask(client, writer, emotion) for emotion in EMOTIONS}
    written = PromptFile(model=writer.model, request=writer.request, written=datetime.now(UTC).date().isoformat(), prompts=prompts)
    write_prompt_file(written, file)
    return written


_BULLET = re.compile(r"^\s*[-*•+–—▪●◦✅→]\s+")
_NUMBER = re.compile(
    r"^[\s*(\[\"]*(?:(?:prompt|scene|image|no\.?)\s*(?:#?\d+|[a-z])?\s*[:.)]|#?\d+\s?(?:[.):\]]|\\\.|-(?=\s))(?!\d)|[①-⑳]|\d\ufe0f?\u20e3"
    r"|[a-z][.)]\s|[ivx]{2,5}[.)]\s)[*\s]*",
    re.IGNORECASE,
)


def parse_lines(answer: str) -> list[str]:
    """The prompts in an answer: its lines without numbers, bullets, Markdown and quotes, each once; not what is said before and after them.

    Raises:
        NoTextError: see `readable_text` and `unframed`.
    """
    text = unframed(readable_text(answer))
    found = texts_in_json(text) or list(filter(None, map(_line_of, text.splitlines())))
    found = [line for line in found if len(line) <= LONGEST_PROMPT]
    numbered = [_NUMBER.sub("", line) for line in found]
    with_number = sum(line != rest for line, rest in zip(found, numbered, strict=True))
    if with_number == len(found) or with_number >= max(2, len(found) / 2):  # else 1984 is a year
        found = numbered
    cleaned = (clean_caption(line) for line in found)
    return list(dict.fromkeys(line for line in cleaned if any(map(str.isalnum, line))))


def _line_of(line: str) -> str:
    """A line without its bullet; of a table's row the last cell; nothing for headings, fences and rules."""
    line = line.strip()
    if line.startswith("|") and line.endswith("|"):
        line = line.strip("|").rpartition("|")[2].strip()
    said = line.strip("*_#:- ").lower()
    heading = line.startswith(("```", "#")) or line.endswith((":", ":**")) or said in (*EMOTIONS, "prompt", "prompts", "")
    return "" if heading or re.search(r"^\W*\d* ?prompts\W*$", said) else _BULLET.sub("", line)


def _ask(client: openai.OpenAI, writer: PromptWriter, emotion: Emotion) -> tuple[str, ...]:
    found: list[str] = []
    unusable = ""
    for attempt in range(TRIES):
        outcome = _answer(client, writer, emotion, attempt)
        if outcome.meaning not in ("answered", "unusable", "failed"):
            raise ConnectionError(
                f"{writer.endpoint} wrote no prompts for {emotion}: {' '.join(outcome.detail.split())}; "
                f"check endpoint, model and {key_in_words(writer.api_key_variable)}"
            )
        try:
            lines = parse_lines(outcome.text)
        except NoTextError as error:
            lines, unusable = [], str(error)
        if outcome.finish_reason == "length":
            lines = lines[:-1]  # half a prompt
        unusable = outcome.detail or unusable
        found = list(dict.fromkeys([*found, *lines]))
        if len(found) >= writer.count:
            return tuple(found[: writer.count])
    raise ValueError(
        f"{writer.model} wrote {len(found)} different prompts for {emotion} in {TRIES} answers, {writer.count} were asked for"
        f"{f' (the last without any: {unusable})' if unusable else ''}: ask for fewer, or raise the temperature or max_tokens"
    )


def _answer(client: openai.OpenAI, writer: PromptWriter, emotion: Emotion, attempt: int) -> RequestOutcome:
    """What becomes of one request."""
    limits = [{"max_tokens": writer.max_tokens}, {"max_completion_tokens": writer.max_tokens}]  # newer models know the second alone
    for limit in limits:
        try:
            response = client.chat.completions.with_raw_response.create(
                model=writer.model,
                messages=[{"role": "user", "content": writer.request.format(emotion=emotion)}],
                temperature=writer.temperature,
                seed=writer.seed + attempt,
                extra_body=limit,
            )
        except openai.APIStatusError as error:
            outcome = outcome_of_response(error.status_code, error.response.headers, error.response.content)
            outcome = replace(outcome, meaning="refused") if outcome.meaning == "failed" else outcome  # the client has tried it again
        except openai.OpenAIError as error:
            return RequestOutcome("unreachable", detail=str(error.__cause__ or error))
        else:
            outcome = outcome_of_response(200, response.headers, response.content)
        if outcome.meaning != "refused" or "max_completion_tokens" not in outcome.detail:
            break
    return outcome
