"""Files of tensors: safetensors with the same bytes every time, their headers, and what others published by `torch.save`, opened without
running what may be in them.

The safetensors library writes a metadata of several keys in random order; here they are sorted.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor, nn

from coemogen_core.storage.location import open_file

MAX_PUBLISHED_BYTES = 2 * 2**30
_LENGTH = 8  # bytes of the header's length, little-endian; the header is padded with blanks to a multiple of it


def safetensors_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes. Tensors must be contiguous."""
    file = io.BytesIO(save(dict(tensors)))
    return header_bytes({"__metadata__": dict(sorted(metadata.items())), **read_header(file)}) + file.read()


def read_header(file: BinaryIO) -> dict[str, Any]:
    """Header of an open safetensors file: `dtype`, `shape` and `data_offsets` by the tensor's name, and `__metadata__`.

    Nothing else is read; the file stands where the tensors begin then.
    """
    header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(_LENGTH), "little")))
    return header


def header_bytes(fields: Mapping[str, Any]) -> bytes:
    """What a safetensors file with this header begins with, up to the tensors."""
    header = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % _LENGTH)
    return len(header).to_bytes(_LENGTH, "little") + header


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of all that follows the header of such a file: what sd-scripts calls the model hash; metadata does not change it."""
    file = io.BytesIO(save(dict(tensors)))
    read_header(file)
    return hashlib.sha256(file.read()).hexdigest()


def read_weights_file(file: str, expected: str, max_bytes: int) -> bytes:
    """Content of a file (path or URI), at most `max_bytes`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is larger; it was not read as a whole. The message says what is `expected`.
    """
    with open_file(file) as handle:
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


@dataclass(frozen=True)
class PublishedWeights:
    """Tensors by name, and the first 12 hex digits of their file's SHA-256."""

    tensors: Mapping[str, Tensor]
    digest: str


def read_published_weights(file: str, expected: str) -> PublishedWeights:
    """Read a state dict, also one that lies under `state_dict`, or whose names start with `module.` (Places365's do both).

    Args:
        file: path or URI of a file by `torch.save`.
        expected: what it should be, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no tensors by name, or more than tensors.
    """
    data = read_weights_file(file, expected, MAX_PUBLISHED_BYTES)
    found = load_tensors(data, file, expected)
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    tensors = {} if not isinstance(state, Mapping) else {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{file} holds no state dict: give {expected}")
    return PublishedWeights({key.removeprefix("module."): value for key, value in tensors.items()}, hashlib.sha256(data).hexdigest()[:12])


def fill(network: nn.Module, tensors: Mapping[str, Tensor], file: str, expected: str) -> nn.Module:
    """Put tensors into a network, all of its names and no others; in evaluation mode, without gradients.

    Raises:
        ValueError: a name is missing, too many, or has another shape; the message names the first ones.
    """
    own = {name: tuple(value.shape) for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: tuple(value.shape) for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    if own != given:
        odd = sorted(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
        raise ValueError(f"{file} does not fit, {len(odd)} tensors differ ({', '.join(odd[:3])}, ...): give {expected}")
    network.load_state_dict(dict(tensors), strict=False)
    return network.eval().requires_grad_(False)
