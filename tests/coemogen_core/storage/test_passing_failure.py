import errno

import aiohttp
import botocore.exceptions
import pytest
import torch

from coemogen_core.storage.passing_failure import may_pass


class HttpError(Exception):
    """As gcsfs's: what the server said."""

    def __init__(self, code: int) -> None:
        self.code = code


def caused(outer: Exception, inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except Exception as error:
            raise outer from error
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        HttpError(503),
        TimeoutError("slow"),
        OSError(errno.EIO, "input/output error"),
        OSError(errno.ESTALE, "stale file handle"),
        aiohttp.ServerDisconnectedError(),
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
        caused(RuntimeError("the part cannot be written"), ConnectionRefusedError("refused")),
    ],
)
def test_what_time_mends(error):
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no space left on device"),
        OSError(errno.EDQUOT, "quota"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        PermissionError(errno.EACCES, "forbidden"),
        OSError("not an image"),
        HttpError(403),
        ValueError("wrong"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA"),
        caused(RuntimeError("wrong"), ValueError("wrong too")),
    ],
)
def test_what_it_does_not(error):
    assert not may_pass(error)
