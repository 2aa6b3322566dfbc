"""Safetensors files with metadata, the same bytes every time.

The library writes a metadata of several keys in random order; here they are sorted.
"""

import hashlib
import json
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor

_LENGTH = 8  # bytes of the header's length, little-endian; the header is padded with blanks to a multiple of it


def safetensors_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The file's bytes. Tensors must be contiguous."""
    data = save(dict(tensors))
    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    fields = {"__metadata__": dict(sorted(metadata.items())), **json.loads(data[_LENGTH:end])}
    header = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % _LENGTH)
    return len(header).to_bytes(_LENGTH, "little") + header + data[end:]


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of all that follows the header of such a file: what sd-scripts calls the model hash; metadata does not change it."""
    data = save(dict(tensors))
    return hashlib.sha256(data[_LENGTH + int.from_bytes(data[:_LENGTH], "little") :]).hexdigest()
