import hashlib
import io
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save_file

from coemogen_core.storage.tensor_files import header_bytes, load_tensors, read_header, read_weights_file, safetensors_bytes, tensors_hash

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


def saved(value: object) -> bytes:
    """As `torch.save` writes it."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.trace), "w")


def test_a_file_of_the_largest_size_is_read_and_one_byte_more_is_refused(tmp_path):
    file = tmp_path / "head.pth"
    file.write_bytes(b"x" * 2**20)
    assert read_weights_file(str(file), "the published head", 2**20) == b"x" * 2**20
    file.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(ValueError, match=r"head\.pth is larger than 1 MiB: give the published head"):
        read_weights_file(str(file), "the published head", 2**20)


@pytest.mark.every_storage
def test_a_file_may_lie_in_any_storage_and_a_missing_one_is_named(workspace):
    workspace.write_file(b"weights", "head.pth")
    assert read_weights_file(workspace.path("head.pth"), "the head", 100) == b"weights"
    with pytest.raises(FileNotFoundError, match="absent"):
        read_weights_file(workspace.path("absent.pth"), "the head", 100)


def test_tensors_in_plain_containers_come_back():
    loaded = load_tensors(saved({"layers": [TENSORS["b"], TENSORS["a"]], "name": "head", "epoch": 3}), "head.pth", "the head")
    assert torch.equal(loaded["layers"][0], TENSORS["b"])
    assert (loaded["name"], loaded["epoch"]) == ("head", 3)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_is_refused_and_runs_none(tmp_path, zipped):
    trace = tmp_path / "it ran"
    hostile = {"weight": Hostile(trace)}
    data = saved(hostile) if zipped else pickle.dumps(hostile)
    with pytest.raises(ValueError, match=r"head\.pth is refused, .* wants to run code.*fetch the head again from its authors"):
        load_tensors(data, "head.pth", "the head")
    assert not trace.exists()


@pytest.mark.parametrize("data", [b"", b"no weights", saved(TENSORS)[:-40], saved(TENSORS)[:100], b"\x80\x02."])
def test_a_damaged_file_is_refused_in_one_line(data):
    with pytest.raises(ValueError, match=r"head\.pth is refused, it is damaged") as refused:
        load_tensors(data, "head.pth", "the head")
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 400
