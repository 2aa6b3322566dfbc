"""What every method of a comparison gets alike: the negative prompt, float32 weights, the form of the clusters."""

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from coemogen_core.methods.dreambooth_lora import DreamBoothLoRA, DreamBoothRecipe, add_lora
from coemogen_core.methods.registry import METHODS, MethodSpec, new_method
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.optimizer import PairwiseAdamW
from coemogen_core.training.trainer import Trainer
from tests.coemogen_core.methods.test_methods import FAST, TRAINED, TRAINING, method_of, trained

__all__ = ["trained"]


@pytest.mark.parametrize("name", METHODS)
def test_the_negative_prompt_reaches_every_method(name, trained, models):
    def drawn(negative: str) -> np.ndarray:
        recipe = FAST.model_copy(update={"negative_prompt": negative})
        return np.asarray(method_of(name).load(models, recipe, trained[name]).generate("awe", [5])[0]).astype(int)

    assert np.abs(drawn("") - drawn("a dark blurred photo of rain")).max() > 1


def test_dreambooth_learns_in_float32_whatever_the_base_model_is_in(tiny_diffusion):
    """AdamW's second moment of a constant gradient g tends to g squared; in bfloat16 it stops where a thousandth of it is rounded away."""
    recipe = DreamBoothRecipe.model_validate(TRAINING.optimisation | {"precision": "bfloat16"})
    unet = UNet2DConditionModel.from_pretrained(tiny_diffusion, subfolder="unet", torch_dtype=torch.bfloat16)
    add_lora(unet, recipe)
    weights = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    assert {weight.dtype for weight in weights} == {torch.float32}
    assert {parameter.dtype for parameter in unet.parameters() if not parameter.requires_grad} == {torch.bfloat16}
    optimizer = PairwiseAdamW([], weights[:1], 1e-3, weight_decay=0.0)
    for _ in range(3000):
        weights[0].grad = torch.ones_like(weights[0])
        optimizer.step()
    moment = optimizer.state[weights[0]]["exp_avg_sq"]
    assert moment.dtype == torch.float32
    assert moment.mean().item() == pytest.approx(1 - 0.999**3000, rel=1e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_no_method_trains_weights_in_lower_precision(name, data, monkeypatch):
    """Found in the trainer itself: parameters of the models come in the recipe's precision, what is trained must not."""
    seen: set[torch.dtype] = set()

    def look(trainer, *_arguments):
        seen.update(parameter.dtype for parameter in trainer.objective.parameters() if parameter.requires_grad)

    monkeypatch.setattr(Trainer, "train", look)
    method = method_of(name, precision="bfloat16")
    features = FeatureSet.open(data.workspace, data.dataset, data.feature_id)
    method.fit(data, f"precision-of-{name}", features, None)  # type: ignore[attr-defined]
    assert seen == {torch.float32}


def test_a_model_whose_weights_were_rounded_is_not_taken_for_one_of_today(data):
    plain, low = (method_of("dreambooth-lora", precision=precision) for precision in ("float32", "bfloat16"))
    assert isinstance(plain, DreamBoothLoRA)
    assert isinstance(low, DreamBoothLoRA)
    assert "weights" not in plain.recipe.identity  # what was trained in float32 is good
    assert low.recipe.identity["weights"] == "float32"
    assert low.training_run_id(data) != plain.training_run_id(data)


def test_emogen_like_takes_its_clusters_as_coemogen_does(data):
    full = TRAINING.model_copy(update={"covariance": "full", "steps": 8})
    outcome = new_method(MethodSpec(method="emogen-like"), full).train(data)
    assert outcome is not None
    folder = Workspace(data.workspace.path("runs", outcome.run_id, "model"))
    found = EmotionClusters.from_bytes(folder.read_file("clusters.safetensors"))
    features = FeatureSet.open(data.workspace, data.dataset, data.feature_id)
    expected = EmotionClusters.fit(features.visual_embeddings(), features.labels, "full")
    assert found.spreads["awe"].ndim == 2
    assert torch.equal(found.spreads["awe"], expected.spreads["awe"])
