"""Checkpoints as vLLM reads them: names change where they must, tensors never."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from coemogen_core.captioning.server.vllm_checkpoint import cache_folder, folder_for_vllm
from coemogen_core.lab import models_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_llava_of_transformers_5_is_copied_with_the_names_of_old() -> None:
    source = models_folder("captioner")
    mended = Path(folder_for_vllm(str(source)))
    assert mended.parent == cache_folder()
    before, after = load_file(source / "model.safetensors"), load_file(mended / "model.safetensors")
    assert len(before) == len(after)
    for name, tensor in before.items():
        assert torch.equal(after[name.replace("vision_tower.", "vision_tower.vision_model.")], tensor)
    others = {file.name for file in source.iterdir()} - {"model.safetensors"}
    assert all((mended / name).read_bytes() == (source / name).read_bytes() for name in others)


def test_the_copy_is_made_once_and_is_itself_served_as_it_is() -> None:
    mended = folder_for_vllm(str(models_folder("captioner")))
    inode = (Path(mended) / "model.safetensors").stat().st_ino
    assert folder_for_vllm(str(models_folder("captioner"))) == mended
    assert (Path(mended) / "model.safetensors").stat().st_ino == inode
    assert folder_for_vllm(mended) == mended
    assert [entry.name for entry in cache_folder().iterdir()] == [Path(mended).name], "no temporary folder is left"


def test_an_interrupted_copy_leaves_nothing_that_could_be_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            folder_for_vllm(str(models_folder("captioner")))
    assert list(cache_folder().iterdir()) == []
    assert load_file(Path(folder_for_vllm(str(models_folder("captioner")))) / "model.safetensors")


def test_a_checkpoint_in_several_files_keeps_its_list(tmp_path: Path) -> None:
    source = tmp_path / "sharded"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"model_type": "llava", "vision_config": {"model_type": "siglip_vision_model"}}))
    save_file({"vision_tower.post_layernorm.bias": torch.ones(3)}, source / "model-1.safetensors")
    save_file({"language_model.model.norm.weight": torch.zeros(2)}, source / "model-2.safetensors")
    lists = {"vision_tower.post_layernorm.bias": "model-1.safetensors", "language_model.model.norm.weight": "model-2.safetensors"}
    (source / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": lists}))
    mended = Path(folder_for_vllm(str(source)))
    index = json.loads((mended / "model.safetensors.index.json").read_text())["weight_map"]
    for name, file in index.items():
        assert name in load_file(mended / file)
    assert "vision_tower.vision_model.post_layernorm.bias" in index


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "qwen2_5_vl", "vision_config": {"model_type": "qwen2_5_vl"}},
        {"model_type": "llava", "vision_config": {"model_type": "pixtral"}},
    ],
)
def test_other_models_are_served_where_they_are(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"vision_tower.patch_conv.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    assert folder_for_vllm(str(tmp_path)) == str(tmp_path)


def test_hub_ids_pass_and_a_wrong_path_is_refused() -> None:
    assert folder_for_vllm("Qwen/Qwen2.5-VL-7B-Instruct") == "Qwen/Qwen2.5-VL-7B-Instruct"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        folder_for_vllm("/no/such/folder")
