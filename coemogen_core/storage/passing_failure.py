"""Which failures time mends: a store or a network that does not answer now may answer in a minute. Everything else fails again."""

import errno
from collections.abc import Iterator

PASSING_ERRNO = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EIO,
        errno.ESTALE,  # a file server was started anew
        errno.ETIMEDOUT,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EPIPE,
    }
)
PASSING_NAMES = frozenset(
    {
        "ClientConnectionError",  # aiohttp
        "ServerTimeoutError",
        "ClientPayloadError",
        "EndpointConnectionError",  # botocore
        "ConnectionClosedError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "IncompleteReadError",
    }
)
"""Of clients that may not be installed, so they go by name."""
PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later: a connection or time-out failed somewhere in the chain of causes.

    A full disk, a missing file, a forbidden one, wrong values and a lack of memory do not pass.
    """
    return any(_is_passing(each) for each in _chain(error))


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in PASSING_ERRNO
    named = any(kind.__name__ in PASSING_NAMES for kind in type(error).__mro__)
    status = getattr(error, "code", None) or getattr(error, "status", None)  # gcsfs, aiohttp
    return named or status in PASSING_STATUS or isinstance(error, ConnectionError | TimeoutError)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
