"""The contract of all methods, on tiny models and a step of training an emotion."""

import hashlib

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load

from coemogen_core.emotions import EMOTIONS
from coemogen_core.methods.method import Method, TrainingData
from coemogen_core.methods.registry import METHODS, MethodSpec, new_method
from coemogen_core.methods.textual_inversion import TextualInversion
from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.recipes import TrainingRecipe
from coemogen_core.training.trainer import Trainer

TRAINING = TrainingRecipe(
    steps=16,
    batch_size=2,
    learning_rate=1e-2,
    conditioner=ConditionerConfig(num_emotion_tokens=2, hidden_width=8),
    log_every=1,
    device="cpu",
)
FAST = GenerationRecipe(num_inference_steps=2, guidance_scale=2.0, batch_size=3, device="cpu")
OWN = "tests.coemogen_core.methods.grey_generator:GreyGenerator"
TRAINED = ["textual-inversion", "dreambooth-lora", "emogen-like"]


def method_of(name: str, **settings) -> Method:
    return new_method(MethodSpec(method=name, settings=settings), TRAINING)


@pytest.fixture(scope="module")
def trained(data) -> dict[str, str]:
    """By method, the folder of its model; empty for those that need none."""
    folders = {}
    for name in [*METHODS, OWN]:
        outcome = method_of(name).train(data)
        folders[name] = "" if outcome is None else data.workspace.path("runs", outcome.run_id, "model")
    return folders


@pytest.mark.parametrize("name", [*METHODS, OWN])
def test_a_picture_is_a_function_of_emotion_and_seed_alone(name, trained, models):
    generator = method_of(name).load(models, FAST, trained[name])
    together = [np.asarray(picture).astype(int) for picture in generator.generate("awe", [5, 6, 7, 8])]
    assert len({picture.tobytes() for picture in together}) == 4
    generator.generate("fear", [5])  # what was drawn in between leaves nothing behind
    alone = np.asarray(generator.generate("awe", [7])[0]).astype(int)
    assert np.abs(alone - together[2]).max() <= 1  # sums over a batch of another size differ in their last bits
    assert together[0].shape == (64, 64, 3)


@pytest.mark.parametrize("name", TRAINED)
def test_training_is_kept_repeatable_and_depends_on_the_seed(name, trained, data, tmp_path):
    method = method_of(name)
    again = method.train(data)
    assert again is not None
    assert again.reused
    elsewhere = TrainingData(Workspace(str(tmp_path)), data.dataset, data.feature_id, data.models)
    _copy_features(data.workspace, elsewhere)
    repeated = method.train(elsewhere)
    assert repeated is not None
    assert not repeated.reused
    assert repeated.run_id == again.run_id
    files = [name for name in data.workspace.list_files("runs", again.run_id, "model") if name.endswith(".safetensors")]
    assert files
    for file in files:
        one, other = (place.read_file("runs", again.run_id, "model", file) for place in (data.workspace, elsewhere.workspace))
        assert hashlib.sha256(one).digest() == hashlib.sha256(other).digest()
    assert method.with_seed(3).training_run_id(data) != again.run_id


@pytest.mark.parametrize("name", TRAINED)
def test_training_moves_only_what_it_says(name, trained):
    folder = Workspace(trained[name])
    names = {file: load(folder.read_file(file)) for file in folder.list_files() if file.endswith(".safetensors")}
    if name == "emogen-like":
        assert set(names) == {"clusters.safetensors", "mapper.safetensors"}
        assert all(key.startswith("layers.") for key in names["mapper.safetensors"])
        return
    assert set(names) == {f"{emotion}.safetensors" for emotion in EMOTIONS}
    if name == "textual-inversion":
        assert all(set(tensors) == {"words"} and tensors["words"].shape[0] == 8 for tensors in names.values())
    else:
        assert all(key.endswith((".lora_A.weight", ".lora_B.weight")) for tensors in names.values() for key in tensors)
        assert all(tensor.any() for tensors in names.values() for key, tensor in tensors.items() if "lora_B" in key)


def test_an_interrupted_emotion_by_emotion_training_goes_on_with_the_next(trained, data, tmp_path, monkeypatch):
    method = method_of("textual-inversion")
    assert isinstance(method, TextualInversion)
    elsewhere = TrainingData(Workspace(str(tmp_path)), data.dataset, data.feature_id, data.models)
    _copy_features(data.workspace, elsewhere)
    train, seen = Trainer.train, []

    def stops(trainer, *arguments):
        seen.append(trainer._run_id)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return train(trainer, *arguments)

    monkeypatch.setattr(Trainer, "train", stops)
    with pytest.raises(KeyboardInterrupt):
        method.train(elsewhere)
    run_id = method.training_run_id(elsewhere)
    assert not elsewhere.workspace.exists("runs", run_id, "model", "config.json")
    assert method.train(elsewhere) is not None
    assert len(seen) == 3 + len(EMOTIONS) - 2  # two were done, the third is done again
    whole = Workspace(trained["textual-inversion"])
    assert all(
        whole.read_file(f"{e}.safetensors") == elsewhere.workspace.read_file("runs", run_id, "model", f"{e}.safetensors") for e in EMOTIONS
    )


def test_all_see_as_many_samples_of_the_right_emotions(data, monkeypatch):
    """Emotion by emotion, each training has its share of the steps and sees pictures of its emotion only."""
    features = FeatureSet.open(data.workspace, data.dataset, data.feature_id)
    seen: list[tuple[int, list[int]]] = []

    def look(trainer, *_arguments):
        labels = [trainer._batches.at(step).label.tolist() for step in range(trainer.recipe.steps)]
        seen.append((trainer.recipe.steps, sorted({label for batch in labels for label in batch})))

    monkeypatch.setattr(Trainer, "train", look)
    for name in ("textual-inversion", "dreambooth-lora"):
        seen.clear()
        method = method_of(name)
        method.fit(data, f"looked-at-{name}", features, None)  # type: ignore[attr-defined]
        assert seen == [(TRAINING.steps // 8, [index]) for index in range(8)]


def test_dreambooth_starts_at_the_base_model(data, models, tiny_diffusion):
    """PEFT's fresh LoRA changes nothing; and its weights depend on the seed alone."""
    from coemogen_core.methods.dreambooth_lora import DreamBoothRecipe, add_lora
    from coemogen_core.model.base_models import load_unet

    recipe = DreamBoothRecipe(steps=1, batch_size=1)
    unet, again = load_unet(models), load_unet(models)
    add_lora(unet, recipe)
    torch.rand(3)
    add_lora(again, recipe)
    first, second = ({name: value for name, value in net.state_dict().items() if "lora_A" in name} for net in (unet, again))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    base = UNet2DConditionModel.from_pretrained(tiny_diffusion, subfolder="unet")
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([3]), torch.randn(1, 77, base.config.cross_attention_dim)
    with torch.no_grad():
        assert torch.allclose(unet(*inputs).sample, base(*inputs).sample, atol=1e-6)


def test_a_model_that_is_not_trained_is_named(models, tmp_path):
    for name in TRAINED:
        with pytest.raises(FileNotFoundError, match="train first"):
            method_of(name).load(models, FAST, str(tmp_path / "none"))


def _copy_features(workspace: Workspace, target: TrainingData) -> None:
    for file in workspace.list_files("features", target.dataset, target.feature_id):
        names = ("features", target.dataset, target.feature_id, file)
        target.workspace.write_file(workspace.read_file(*names), *names)


@pytest.mark.parametrize("name", ["coemogen", *TRAINED])
def test_a_finished_training_takes_no_slot_and_fetches_no_features(name, trained, data, slot, monkeypatch):
    def fetched(*_arguments):
        raise AssertionError("the features of a finished training were opened")

    monkeypatch.setattr(FeatureSet, "open", fetched)
    outcome = method_of(name).train(data, slot=slot)
    assert (outcome.reused, outcome.images, slot.entered) == (True, 16, 0)


def test_the_slot_is_held_to_train_alone_and_not_again_when_another_run_has_trained_meanwhile(data, tmp_path, slot, monkeypatch):
    monkeypatch.setattr(Trainer, "train", slot.watch(Trainer.train))
    monkeypatch.setattr(FeatureSet, "open", slot.watch(FeatureSet.open))
    for number, method in enumerate((method_of("coemogen", steps=1), method_of("emogen-like", steps=1))):
        here = TrainingData(Workspace(str(tmp_path / f"{number}")), data.dataset, data.feature_id, data.models)
        _copy_features(data.workspace, here)
        assert not method.train(here, slot=slot).reused
        again = method.with_seed(7)
        slot.while_waiting = lambda again=again, here=here: again.train(here)
        assert again.train(here, slot=slot).reused
        slot.while_waiting = lambda: None
    assert slot.entered == 4
    one = [False, True]  # the features are fetched outside of the slot
    assert slot.seen == [*one, False, False, False] * 2
