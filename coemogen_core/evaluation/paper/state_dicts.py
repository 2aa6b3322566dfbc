"""State dicts of published networks: read without running code, and freed of what their training wrapped around them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from coemogen_core.weights_file import load_tensors, read_weights_file

MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class PublishedWeights:
    """Tensors by name, and the first 12 hex digits of their file's SHA-256."""

    tensors: Mapping[str, torch.Tensor]
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
    data = read_weights_file(file, expected, MAX_BYTES)
    found = load_tensors(data, file, expected)
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    tensors = {} if not isinstance(state, Mapping) else {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ValueError(f"{file} holds no state dict: give {expected}")
    return PublishedWeights({key.removeprefix("module."): value for key, value in tensors.items()}, hashlib.sha256(data).hexdigest()[:12])


def fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], file: str, expected: str) -> torch.nn.Module:
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
