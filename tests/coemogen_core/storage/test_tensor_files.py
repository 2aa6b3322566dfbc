import hashlib
import io
import subprocess
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load, save_file

from coemogen_core.storage.tensor_files import header_bytes, read_header, safetensors_bytes, tensors_hash

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(8)}
METADATA = {f"key{index}": f"value “{index}”" for index in range(20)}


def test_the_library_reads_what_was_written(tmp_path):
    """Oracle: safetensors itself; lengths of the metadata try every padding."""
    for extra in range(9):
        metadata = {**METADATA, "padding": "x" * extra}
        data = safetensors_bytes(TENSORS, metadata)
        (tmp_path / "file.safetensors").write_bytes(data)
        with safe_open(tmp_path / "file.safetensors", framework="pt") as opened:
            assert opened.metadata() == metadata
        loaded = load(data)
        assert loaded.keys() == TENSORS.keys()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in TENSORS.items())
        assert (8 + int.from_bytes(data[:8], "little")) % 8 == 0  # tensors start aligned


def test_the_bytes_are_the_same_in_another_process():
    code = (
        "import sys, torch; from coemogen_core.storage.tensor_files import safetensors_bytes; "
        "tensors = {'b': torch.arange(6.0).view(2, 3), 'a': torch.tensor(8)}; "
        "metadata = {f'key{i}': f'value \u201c{i}\u201d' for i in reversed(range(20))}; "
        "sys.stdout.buffer.write(safetensors_bytes(tensors, metadata))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == safetensors_bytes(TENSORS, METADATA)


def test_the_hash_does_not_depend_on_metadata(tmp_path):
    save_file(TENSORS, tmp_path / "file.safetensors", metadata={"some": "words"})
    data = (tmp_path / "file.safetensors").read_bytes()
    assert tensors_hash(TENSORS) == hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()


def test_a_header_is_read_alone_and_written_anew():
    data = safetensors_bytes(TENSORS, METADATA)
    file = io.BytesIO(data)
    header = read_header(file)
    assert header["b"]["shape"] == [2, 3]
    assert header["__metadata__"] == METADATA
    assert header_bytes(header) + file.read() == data
