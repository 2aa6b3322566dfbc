"""What every captioner does: a stream of chunks of requests in, their answers out, in the same order.

An attempt that gave no caption says why: the `error` column reads `<kind>: <detail>`, so that failures can be counted by kind in any tool.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from coemogen_core.errors import CoEmoGenError


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
    """What became of one request: the model's raw text, or an error (`failure`)."""

    image_id: str
    text: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float | None = None
    finish_reason: str | None = None
    asked_at: float = field(kw_only=True)  # when the request was sent, or the batch begun, that gave this answer: seconds since 1970


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


FailureKind = Literal["unreadable image", "rejected", "malformed", "refused", "server", "timeout"]
"""`unreadable image`: lies in the picture. `rejected`: the model's answer, which a lint turned down. All others lie with the server or its
settings, which may be others tomorrow. `malformed`: an answer with reasoning or tags in it, without text, or not in the asked form.
`refused`: the server would not take the request. `server` and `timeout`: no answer."""


class EndpointError(CoEmoGenError):
    """The endpoint cannot be used at all. The message names it and the remedy; what was captioned before is kept."""


class EndpointUnreachableError(EndpointError):
    """Nothing answers at the endpoint; later something may."""


def failure(kind: FailureKind, detail: str) -> str:
    """Text of the `error` column."""
    return f"{kind}: {' '.join(detail.split())[:500]}"


def is_final(error: str, *, deterministic: bool) -> bool:
    """Whether another attempt with the same recipe is pointless, after this `error`.

    A deterministic recipe answers the same request in the same way (temperature 0), so that a rejected answer would come back. What a
    server failed at is never final: it or its settings may be mended.
    """
    kind = error.split(":", 1)[0]
    return kind == "unreadable image" or (deterministic and kind == "rejected")


def is_the_servers(error: str) -> bool:
    """Whether a failure lies with the server or its settings, and not with the picture or the model."""
    return error.split(":", 1)[0] not in ("unreadable image", "rejected")
