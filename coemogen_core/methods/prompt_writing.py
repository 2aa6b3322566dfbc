"""Have a language model write the prompts of the baseline "sd-llm": from any OpenAI-compatible chat server, once, into a file."""

import re
from datetime import UTC, datetime
from pathlib import Path

import openai
from pydantic import Field

from coemogen_core.captioning.server.api_key import key_in_words, read_key
from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.methods.prompted import PromptFile, read_prompt_file, write_prompt_file
from schemas.frozen_model import FrozenModel

REQUEST = (
    "Write {count} short prompts for an image generator, one a line, without numbers. "
    "Each describes one concrete scene that evokes {{emotion}}, in simple words, without naming the emotion."
)
TRIES = 3  # at an emotion, with another seed each, until there are enough different prompts


class PromptWriter(FrozenModel):
    """Who writes the prompts, and how many."""

    endpoint: str = Field(
        default="http://127.0.0.1:8000/v1", pattern=r"^https?://", description="base URL of the API: the captioner's will do"
    )
    model: str = Field(min_length=1, description="name under which the server has the model")
    count: int = Field(default=10, ge=1, le=1000, description="prompts of every emotion")
    temperature: float = Field(default=0.7, ge=0.0, le=2.0, description="0 is greedy; some variety makes better prompts")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the sampling, where the server knows one")
    max_tokens: int = Field(default=1024, ge=16, le=65_536, description="longest answer in tokens")
    timeout_s: float = Field(default=120.0, gt=0, description="longest time to wait for an answer, in seconds")
    api_key_variable: str = Field(
        default="OPENAI_API_KEY", description="environment variable with the key; most self-hosted servers need none"
    )

    @property
    def request(self) -> str:
        """What is asked, the emotion left open."""
        return REQUEST.format(count=self.count)


def write_prompts(writer: PromptWriter, file: Path) -> PromptFile:
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
    with openai.OpenAI(base_url=writer.endpoint, api_key=key, timeout=writer.timeout_s) as client:
        prompts = {emotion: _ask(client, writer, emotion) for emotion in EMOTIONS}
    written = PromptFile(model=writer.model, request=writer.request, written=datetime.now(UTC).date().isoformat(), prompts=prompts)
    write_prompt_file(written, file)
    return written


def parse_lines(answer: str) -> list[str]:
    """The prompts in an answer: its lines without numbers, bullets and quotes, each once."""
    lines = (re.sub(r"^\s*(?:[-*•]|\d+[.):])?\s*", "", line).strip().strip("\"'“”").strip() for line in answer.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _ask(client: openai.OpenAI, writer: PromptWriter, emotion: Emotion) -> tuple[str, ...]:
    found: list[str] = []
    for attempt in range(TRIES):
        try:
            completion = client.chat.completions.create(
                model=writer.model,
                messages=[{"role": "user", "content": writer.request.format(emotion=emotion)}],
                temperature=writer.temperature,
                seed=writer.seed + attempt,
                max_tokens=writer.max_tokens,
            )
        except openai.OpenAIError as error:
            raise ConnectionError(
                f"{writer.endpoint} wrote no prompts for {emotion}: {' '.join(str(error).split())}; "
                f"check endpoint, model and {key_in_words(writer.api_key_variable)}"
            ) from error
        found = list(dict.fromkeys([*found, *parse_lines(completion.choices[0].message.content or "")]))
        if len(found) >= writer.count:
            return tuple(found[: writer.count])
    raise ValueError(
        f"{writer.model} wrote {len(found)} different prompts for {emotion} in {TRIES} answers, {writer.count} were asked for: "
        "ask for fewer, or raise the temperature"
    )
