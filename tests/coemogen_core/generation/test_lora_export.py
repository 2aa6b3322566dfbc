import hashlib
import json
import re

import numpy as np
import pytest
import torch
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from diffusers.utils import convert_unet_state_dict_to_peft
from peft import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file

from coemogen_core.generation.denoising import load_base_pipeline
from coemogen_core.generation.lora_export import DIFFUSERS_FILE, ExportRecipe, LoraExporter, pseudo_words
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.saved_model import SavedModel
from coemogen_core.storage.workspace import Workspace

FAST = {"num_inference_steps": 3, "guidance_scale": 3.0}
FUSION = {"awe": 0.6, "anger": 0.4}


@pytest.fixture(scope="module")
def exporter(workspace, models) -> LoraExporter:
    return LoraExporter(workspace.path("runs", "run-1", "model"), models)


@pytest.fixture(scope="module")
def awe(exporter, tmp_path_factory):
    destination = tmp_path_factory.mktemp("export")
    exporter.export(ExportRecipe(weights={"awe": 1.0}, licence="CC-BY-4.0"), str(destination))
    return destination / "coemogen-awe"


@pytest.fixture(scope="module")
def mean_pipe(models, trained) -> EmotionPipeline:
    """The trained pipeline, its visual embedding always the middle of the cluster."""
    still = EmotionClusters(trained.clusters.means, {emotion: torch.zeros(128) for emotion in trained.clusters.means})
    return EmotionPipeline.on_base(
        load_base_pipeline(models, "cpu"), SavedModel(trained.config, trained.conditioner, trained.hilora, still)
    )


def metadata(file) -> dict[str, str]:
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def distance(a, b) -> int:
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max())


@pytest.mark.parametrize("spelling", ["diffusers", "kohya"])
@pytest.mark.parametrize(("weights", "intensity"), [({"awe": 1.0}, 1.0), (FUSION, 1.5)])
def test_plain_diffusers_draws_the_same_picture_from_the_export(exporter, mean_pipe, models, tmp_path, spelling, weights, intensity):
    """The whole way of an artist: the LoRA of either spelling, the embedding, its token as the prompt. Tolerance: one of 255 levels."""
    export = exporter.export(ExportRecipe(weights=weights, intensity=intensity), str(tmp_path))
    plain = load_base_pipeline(models, "cpu")
    file = DIFFUSERS_FILE if spelling == "diffusers" else f"{export.name}-lora.safetensors"
    plain.load_lora_weights(export.folder, weight_name=file)
    plain.load_textual_inversion(export.folder, weight_name=f"{export.name}.safetensors")
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(8))
    theirs = plain(f"<{export.name}>", latents=noise, **FAST).images[0]
    ours = mean_pipe.generate(weights, [8], GenerationRecipe(**FAST, intensity=intensity))[0]
    assert distance(ours, theirs) <= 1
    plain.unload_lora_weights()
    assert distance(ours, plain(f"<{export.name}>", latents=noise, **FAST).images[0]) > 1


def test_the_embedding_as_a_prompt_is_the_conditioners_sequence(awe, mean_pipe, models):
    """BOS, the words, EOS, padding stand at the same places; and beside other words of a prompt the token is its eight words."""
    plain = load_base_pipeline(models, "cpu")
    plain.load_textual_inversion(str(awe), weight_name="coemogen-awe.safetensors")
    with torch.inference_mode():
        theirs = plain.encode_prompt("<coemogen-awe>", "cpu", 1, False)[0]
        ours = mean_pipe.conditioner(torch.eye(8)[[1]], mean_pipe.clusters.mean("awe")[None]).sequence
        ids = plain.tokenizer(plain.maybe_convert_prompt("a <coemogen-awe> dog", plain.tokenizer)).input_ids
    assert torch.allclose(ours, theirs, atol=1e-5)
    dog = plain.tokenizer("dog", add_special_tokens=False).input_ids
    words = list(range(len(plain.tokenizer) - 8, len(plain.tokenizer)))
    start, end = plain.tokenizer.bos_token_id, plain.tokenizer.eos_token_id
    assert ids == [start, *plain.tokenizer("a", add_special_tokens=False).input_ids, *words, *dog, end]


def test_the_embedding_is_one_tensor_that_every_tool_finds(awe, exporter, trained):
    """diffusers wants one key, the token; A1111 one tensor; ComfyUI takes `clip_l`, or else the first."""
    tensors = load_file(awe / "coemogen-awe.safetensors")
    assert list(tensors) == ["<coemogen-awe>"]
    assert torch.equal(tensors["<coemogen-awe>"], pseudo_words(trained, exporter._text_encoder, "awe"))
    assert tensors["<coemogen-awe>"].shape == (8, 128)


def test_kohyas_file_is_spelt_as_sd_scripts_spells_it_and_read_back_by_diffusers(awe, trained):
    kohyas, ours = load_file(awe / "coemogen-awe-lora.safetensors"), load_file(awe / DIFFUSERS_FILE)
    for layer in {name.partition(".lora_")[0] for name in trained.hilora}:
        spelt = "lora_unet_" + layer.replace(".", "_")
        assert torch.equal(kohyas[f"{spelt}.lora_down.weight"], ours[f"unet.{layer}.lora_A.weight"])
        assert torch.equal(kohyas[f"{spelt}.lora_up.weight"], ours[f"unet.{layer}.lora_B.weight"])
        assert kohyas[f"{spelt}.alpha"].shape == ()
        assert kohyas[f"{spelt}.alpha"].item() == kohyas[f"{spelt}.lora_down.weight"].shape[0] == 8
    assert len(kohyas) == 3 * len(ours) // 2
    read, alphas = _convert_non_diffusers_lora_to_diffusers(dict(kohyas))
    back = convert_unet_state_dict_to_peft(read)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], ours[name]) for name in ours)
    assert set(alphas.values()) == {8.0}


def test_diffusers_own_writer_gives_the_same_tensors_by_the_same_names(awe, models, tmp_path):
    """Oracle: what diffusers saves of the adapter that it loaded."""
    plain = load_base_pipeline(models, "cpu")
    plain.load_lora_weights(str(awe), weight_name="coemogen-awe-lora.safetensors", adapter_name="awe")
    plain.save_lora_weights(tmp_path, unet_lora_layers=get_peft_model_state_dict(plain.unet, adapter_name="awe"))
    theirs, ours = load_file(tmp_path / DIFFUSERS_FILE), load_file(awe / DIFFUSERS_FILE)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)


def test_headers_tell_the_origin_and_what_other_tools_show(awe, workspace, trained):
    digest = hashlib.sha256(workspace.read_file("runs", "run-1", "model", "hilora.safetensors")).hexdigest()
    lora = metadata(awe / "coemogen-awe-lora.safetensors")
    assert metadata(awe / DIFFUSERS_FILE).keys() == lora.keys()
    assert json.loads(lora["coemogen.emotion"]) == {"awe": 1.0}
    assert json.loads(lora["coemogen.gate"]) == {"awe": 1.0, "positive": 1.0}
    assert (lora["coemogen.run_id"], lora["coemogen.hilora_sha256"]) == ("run-1", digest)
    assert json.loads(lora["coemogen.base_models"]) == trained.config.base_models
    assert lora["coemogen.licence"] == lora["modelspec.license"] == "CC-BY-4.0"
    assert "conditioner" in lora["coemogen.note"]
    assert (lora["ss_network_dim"], lora["ss_network_alpha"], lora["ss_output_name"]) == ("8", "8.0", "coemogen-awe-lora")
    assert (lora["ss_base_model_version"], lora["modelspec.architecture"]) == ("other", "other/lora")  # the tiny base is no SD 1.x
    assert json.loads(lora["ss_dataset_dirs"]) == {"unknown": {"n_repeats": 1, "img_count": 6}}
    assert (lora["modelspec.title"], lora["modelspec.resolution"]) == ("CoEmoGen awe", "64x64")
    assert lora["modelspec.hash_sha256"] == f"0x{lora['sshs_model_hash']}"
    embedding = metadata(awe / "coemogen-awe.safetensors")
    assert embedding["modelspec.trigger_phrase"] == "coemogen-awe"
    assert embedding["modelspec.architecture"] == "other/textual-inversion"


def test_the_model_hash_is_that_of_the_bytes_behind_the_header(awe):
    data = (awe / "coemogen-awe-lora.safetensors").read_bytes()
    behind = data[8 + int.from_bytes(data[:8], "little") :]
    assert metadata(awe / "coemogen-awe-lora.safetensors")["sshs_model_hash"] == hashlib.sha256(behind).hexdigest()


def test_the_same_model_gives_the_same_bytes_and_the_card_lists_them(awe, workspace, models, tmp_path):
    again = LoraExporter(workspace.path("runs", "run-1", "model"), models)
    export = again.export(ExportRecipe(weights={"awe": 2.0}, licence="CC-BY-4.0"), str(tmp_path))
    card = (awe / "README.md").read_text()
    for name in export.files:
        assert (tmp_path / "coemogen-awe" / name).read_bytes() == (awe / name).read_bytes()
        assert name == "README.md" or hashlib.sha256((awe / name).read_bytes()).hexdigest() in card
    assert str(tmp_path) not in card
    assert "Not for them" in card  # ComfyUI and A1111 know no model of this size


def test_the_cards_python_draws_a_picture(awe, models, tmp_path, monkeypatch):
    card = (awe / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    names = {"BASE": models.diffusion, "FOLDER": str(awe)}
    exec(code.replace("torch.float32", "torch.bfloat16"), names)
    assert {part.dtype for part in (names["pipe"].unet, names["pipe"].vae, names["pipe"].text_encoder)} == {torch.bfloat16}
    assert (tmp_path / "coemogen-awe.png").stat().st_size > 0
    assert "torch_dtype" not in card


def test_an_export_that_breaks_off_leaves_no_card(exporter, tmp_path, monkeypatch):
    recipe = ExportRecipe(weights=FUSION)
    folder = tmp_path / "coemogen-awe60-anger40"
    exporter.export(recipe, str(tmp_path))
    assert {file.name for file in folder.iterdir()} == {
        DIFFUSERS_FILE,
        "coemogen-awe60-anger40-lora.safetensors",
        "coemogen-awe60-anger40.safetensors",
        "README.md",
    }
    write_file = Workspace.write_file

    def full_disk(place, data, *names):
        if names[-1].endswith("-lora.safetensors"):
            raise OSError("no space left")
        return write_file(place, data, *names)

    monkeypatch.setattr(Workspace, "write_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        exporter.export(recipe, str(tmp_path))
    assert not (folder / "README.md").exists()


def test_names_tell_shares_and_intensity():
    assert ExportRecipe(weights={"awe": 3.0}).export_name == "coemogen-awe"
    assert ExportRecipe(weights={"fear": 1.0, "awe": 3.0}, intensity=1.5).export_name == "coemogen-awe75-fear25-x150"
    assert ExportRecipe(weights={"fear": 1.0}, name="dread").export_name == "dread"


def test_unusable_requests_say_why(exporter, workspace, models, tmp_path):
    with pytest.raises(ValueError, match="no cluster for sadness"):
        exporter.export(ExportRecipe(weights={"sadness": 1.0}), str(tmp_path))
    with pytest.raises(ValueError, match="unknown emotion"):
        exporter.export(ExportRecipe(weights={"joy": 1.0}), str(tmp_path))
    with pytest.raises(ValueError, match="intensity"):
        ExportRecipe(weights={"awe": 1.0}, intensity=0)
    with pytest.raises(ValueError, match="name"):
        ExportRecipe(weights={"awe": 1.0}, name="../awe")
    with pytest.raises(FileNotFoundError, match="train first"):
        LoraExporter(workspace.path("runs", "none", "model"), models)
    assert not list(tmp_path.iterdir())
    assert exporter.emotions == ["amusement", "awe", "contentment", "excitement", "anger"]
