"""Checkpoints as vLLM reads them.

transformers 5 saves the vision tower of a LLaVA as `vision_tower.*`, vLLM looks for `vision_tower.vision_model.*`, as every earlier
version saved it. Where that is so, a copy with the names of old is kept in the user's cache. Only names change, no tensor does.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

from safetensors import safe_open

from coemogen_core.storage.model_source import fingerprint

OLD_PREFIX, NEW_PREFIX = "vision_tower.", "vision_tower.vision_model."
VISION_MODELS_WITH_PREFIX = ("clip_vision_model", "siglip_vision_model")
INDEX = "model.safetensors.index.json"


def folder_for_vllm(model: str) -> str:
    """What to give vLLM as the model: a folder or hub id, itself where it can be read as it is, else the mended copy of it.

    Raises:
        FileNotFoundError: the text looks like a path, but no such folder exists.
        OSError: the copy cannot be written.
    """
    source = Path(model).expanduser()
    if not source.is_dir():
        fingerprint(model)  # refuses a path that leads nowhere
        return model
    return str(_mended_copy(source) if _needs_mending(source) else source)


def cache_folder() -> Path:
    """Where the captioner's files may be kept between runs: `$XDG_CACHE_HOME/coemogen/captioner`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coemogen" / "captioner"


def _needs_mending(source: Path) -> bool:
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # whatever it is, vLLM will say what it misses
    vision_model = (config.get("vision_config") or {}).get("model_type")
    if config.get("model_type") != "llava" or vision_model not in VISION_MODELS_WITH_PREFIX:
        return False
    for file in source.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as tensors:
            if any(_renamed(name) != name for name in tensors.keys()):  # noqa: SIM118  no mapping
                return True
    return False


def _mended_copy(source: Path) -> Path:
    """The copy, made unless it stands already; whole or not at all."""
    target = cache_folder() / fingerprint(str(source)).replace(":", "-")
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        copy = Path(temporary) / "copy"
        copy.mkdir()
        for file in (path for path in source.iterdir() if path.is_file()):
            if file.suffix == ".safetensors":
                _copy_renamed(file, copy / file.name)
            elif file.name == INDEX:
                _copy_index(file, copy / file.name)
            else:
                shutil.copyfile(file, copy / file.name)
        try:
            copy.rename(target)
        except OSError:
            if not target.is_dir():  # else another process made the same copy first
                raise
    return target


def _renamed(tensor: str) -> str:
    if tensor.startswith(OLD_PREFIX) and not tensor.startswith(NEW_PREFIX):
        return NEW_PREFIX + tensor.removeprefix(OLD_PREFIX)
    return tensor


def _copy_renamed(source: Path, target: Path) -> None:
    """Copy a safetensors file with a new header."""
    from coemogen_core.storage.tensor_files import header_bytes, read_header  # imports torch, which takes seconds and is seldom needed

    with source.open("rb") as reader, target.open("wb") as writer:
        writer.write(header_bytes({_renamed(name): value for name, value in read_header(reader).items()}))
        shutil.copyfileobj(reader, writer, length=16 * 2**20)


def _copy_index(source: Path, target: Path) -> None:
    """Copy the list that says which file holds which tensor."""
    index = json.loads(source.read_text(encoding="utf-8"))
    index["weight_map"] = {_renamed(name): file for name, file in index["weight_map"].items()}
    target.write_text(json.dumps(index, indent=2), encoding="utf-8")
