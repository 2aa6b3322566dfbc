"""Why an attempt gave no caption, and whether asking again could help.

The `error` column reads `<kind>: <detail>`, so that failures can be counted by kind in any tool.
"""

from typing import Literal, get_args

from coemogen_core.errors import CoEmoGenError

FailureKind = Literal["unreadable image", "refused", "rejected", "server", "timeout"]

FAILURE_KINDS: tuple[FailureKind, ...] = get_args(FailureKind)
LASTING: tuple[FailureKind, ...] = ("unreadable image", "refused")
"""Failures that lie in the request itself: the same request fails in the same way."""


class EndpointError(CoEmoGenError):
    """The endpoint cannot be used at all. The message names it and the remedy; what was captioned before is kept."""


class EndpointUnreachableError(EndpointError):
    """Nothing answers at the endpoint; later something may."""


def failure(kind: FailureKind, detail: str) -> str:
    """Text of the `error` column. `rejected` is an answer that a lint turned down, `refused` a request that the server turned down."""
    return f"{kind}: {' '.join(detail.split())[:500]}"


def is_final(error: str, *, deterministic: bool) -> bool:
    """Whether another attempt with the same recipe is pointless.

    Args:
        error: text of the `error` column.
        deterministic: the recipe answers the same request in the same way (temperature 0), so that a rejected answer would come back.
    """
    kind = error.split(":", 1)[0]
    return kind in LASTING or (deterministic and kind == "rejected")
