"""What every captioner does: a stream of chunks of requests in, their answers out, in the same order."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """One picture to caption; the text may stand before the picture, after it, or on both sides."""

    image_id: str
    image: bytes  # an encoded picture, as the images table holds it
    text_before: str
    text_after: str
    seed: int  # of this attempt's sampling; without effect on a greedy recipe


@dataclass(frozen=True, slots=True)
class CaptionAnswer:
    """What became of one request: the model's raw text, or an error (`failure.py`)."""

    image_id: str
    text: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float | None = None
    finish_reason: str | None = None
    asked_at: float | None = None  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Chunk:
    """Requests whose answers are written together."""

    sequence: int
    requests: list[CaptionRequest]


Sink = Callable[[list[CaptionAnswer]], None]
"""Is given answers the moment they come, in whatever thread they come."""


class CaptionBackend(Protocol):
    """A captioner.

    Attributes:
        remembers: whether single answers may be kept and the rest asked alone. A local model's answer depends, in its last bit, on the
            batch it was made in, so there a chunk is made whole or made again.
    """

    remembers: bool

    def answer(self, chunks: Iterable[Chunk], sink: Sink) -> Iterator[tuple[Chunk, list[CaptionAnswer]]]:
        """Answer a stream of chunks: each chunk's number once, as it is done, with one answer per request, in order.

        The chunks that come back may have let go of their requests.

        A request that fails becomes an answer with an error. Chunks are pulled only a little ahead of the answers, so that a long
        stream needs little memory, and no batch spans two chunks, so that an answer depends on its own chunk alone.
        """
        ...


def content_parts(request: CaptionRequest, image_part: dict[str, object]) -> list[dict[str, object]]:
    """Content of the user's message in the chat format that servers and transformers share."""
    before: list[dict[str, object]] = [{"type": "text", "text": request.text_before}] if request.text_before else []
    after: list[dict[str, object]] = [{"type": "text", "text": request.text_after}] if request.text_after else []
    return [*before, image_part, *after]
