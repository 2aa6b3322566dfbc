"""Files of tensors that others published (`torch.save`), opened without running what may be in them."""

import io
from typing import Any

import fsspec
import torch


def read_weights_file(file: str, expected: str, max_bytes: int) -> bytes:
    """Content of a file.

    Args:
        file: path or URI.
        expected: what it should be, for the message.
        max_bytes: a larger file is refused unread.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is larger.
    """
    with fsspec.open(file, "rb") as handle:
        data: bytes = handle.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"{file} is larger than {max_bytes // 2**20} MiB: give {expected}")
    return data


def load_tensors(data: bytes, file: str, expected: str) -> Any:
    """What `torch.save` wrote, as far as it is tensors and plain containers.

    Raises:
        ValueError: the content is damaged or holds more than that; the message names `file` and what is expected.
    """
    try:
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # what a damaged or hostile file raises is anybody's guess: pickle, zip, end of file, ...
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ValueError(
            f"{file} is refused, it is damaged or wants to run code when it is opened ({reason}): fetch {expected} again from its authors"
        ) from error
